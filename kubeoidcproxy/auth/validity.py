"""When a token counts: ``exp`` without leeway, ``nbf`` with a minute, as in go-oidc; ``iat`` only for maxTokenAge."""

from __future__ import annotations

from datetime import UTC, datetime

from kubeoidcproxy.auth.claims import Claims, refused

NOT_BEFORE_LEEWAY = 60  # seconds, kube's; there is none for exp, in kube as here
# Go adds this to a Unix time; beyond it the sum overflows and the time counts as long past.
_LATEST = 2**63 - 62_135_596_800


def check_times(claims: Claims, now: float) -> None:
    """The token is valid now; Rejection(401) if not."""
    if claims.expires_at is None:
        raise refused("token is expired", "token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)")
    if claims.expires_at < now or claims.expires_at >= _LATEST:
        raise refused("token is expired", f"token is expired (Token Expiry: {_moment(claims.expires_at)})")
    if claims.not_before is not None and now + NOT_BEFORE_LEEWAY < claims.not_before:
        moment = _moment(claims.not_before)
        detail = f"current time {_moment(int(now))} before the nbf (not before) time: {moment}"
        raise refused("token is not valid yet", detail)


def check_age(claims: Claims, longest: float, now: float) -> None:
    """``maxTokenAge``: the token lives for so many seconds at most, and its life has begun; Rejection(401) if not."""
    begins = claims.issued_at if claims.issued_at is not None else claims.not_before
    if begins is None or claims.expires_at is None:
        raise refused("token has no issue time", "maxTokenAge is set, and the token has neither iat nor nbf")
    if claims.expires_at - begins > longest:
        lives = claims.expires_at - begins
        raise refused("token lives too long", f"the token lives {lives} s, maxTokenAge is {longest:g} s")
    if now + NOT_BEFORE_LEEWAY < begins:  # else a token dated ahead would outlive its age
        raise refused("token is not valid yet", f"the token is issued in the future, {_moment(begins)}")


def _moment(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(' ')} +0000 UTC"
    except (ValueError, OverflowError, OSError):  # years beyond 9999, which Go can print
        return str(seconds)
