"""A token's bytes, what is believed of whom, and the keys: who is this?

Cheap before expensive: size, shape, header, payload, issuer, audience and times cost microseconds and stop whatever is
not meant for us, before a signature is computed and before anything could be fetched (law 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeoidcproxy.auth.claims import Claims, check_audience, issuer_of, read_claims
from kubeoidcproxy.auth.jws import CompactToken, read_token
from kubeoidcproxy.auth.keyset import KeySet
from kubeoidcproxy.auth.mapping import CREDENTIAL_ID, ClaimMapping
from kubeoidcproxy.auth.names import AllowedNames, admit
from kubeoidcproxy.auth.refusals import quoted, unauthorized
from kubeoidcproxy.auth.strictjson import parse_object
from kubeoidcproxy.auth.validity import check_age, check_times
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller, UserInfo

MAX_TOKEN_SIZE = 32 * 1024  # bytes; default of limits.maxTokenSize: Entra and Keycloak tokens reach 16 KiB


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed of one issuer.

    :param audiences: a token must be for one of these.
    :param algorithms: sorted, out of :data:`~kubeoidcproxy.auth.jws.ALGORITHMS`.
    :param max_age: seconds that a token may live at most, or None.
    :param credential_id: whether the token's ``jti`` goes upstream as an extra.
    """

    issuer: str
    audiences: tuple[str, ...]
    mapping: ClaimMapping
    algorithms: tuple[str, ...]
    max_age: float | None = None
    allowed_names: AllowedNames = field(default_factory=AllowedNames)
    credential_id: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A token that would be good if its signature were."""

    token: CompactToken
    claims: Claims
    trust: Trust


@dataclass(frozen=True, slots=True)
class NeedsKeys:
    """The outcome for a token that the keys at hand cannot judge: a fresh set might.

    :param detail: the reason of the refusal, where no fresh set is to be had.
    """

    issuer: str
    kid: str | None
    detail: str


def examine(token: bytes, trusts: Mapping[str, Trust], now: float, max_size: int = MAX_TOKEN_SIZE) -> Claimed:
    """All that can be said without a key. ``now`` in seconds since the epoch.

    :raises Rejection: 401, whatever the bytes.
    """
    if len(token) > max_size:
        raise unauthorized("token is too large", f"token of {len(token)} bytes, {max_size} are accepted")
    try:
        compact = read_token(token)
        members = parse_object(compact.payload)
    except ValueError as error:
        raise unauthorized("malformed token", f"oidc: verify token: oidc: malformed jwt: {error}") from None
    trust = _trust(issuer_of(members), trusts)
    claims = read_claims(members)
    check_audience(claims, trust.audiences)
    check_times(claims, now)
    if trust.max_age is not None:
        check_age(claims, trust.max_age, now)
    _check_algorithm(compact.alg, trust.algorithms)
    return Claimed(compact, claims, trust)


def claimed_issuer(token: bytes, max_size: int = MAX_TOKEN_SIZE) -> str:
    """The issuer that a token names, believed by nobody; "" where it names none. For counting what is refused."""
    try:
        return issuer_of(parse_object(read_token(token).payload)) or "" if len(token) <= max_size else ""
    except ValueError:
        return ""


def prove(claimed: Claimed, keys: KeySet, fingerprint: bytes) -> Caller | NeedsKeys:
    """Check the signature, then who the claims say it is.

    :raises Rejection: 401, or 403 for a reserved name.
    """
    token, trust = claimed.token, claimed.trust
    if not any(key.verifies(token) for key in keys.candidates(token.kid, token.alg)):
        detail = _no_signature(keys, token)
        if not keys.knows(token.kid):
            return NeedsKeys(trust.issuer, token.kid, detail)
        raise unauthorized("invalid signature", detail)
    user = admit(_forwarded(trust.mapping.user(claimed.claims.members), trust), trust.allowed_names)
    return _caller(claimed, user, fingerprint)


def _trust(issuer: str | None, trusts: Mapping[str, Trust]) -> Trust:
    if issuer is None:
        raise unauthorized("the token names no issuer")
    trust = trusts.get(issuer)  # exact: a slash at the end makes another issuer
    if trust is None:
        raise unauthorized("the token's issuer is not known", f"issuer {quoted(issuer)} is not configured")
    return trust


def _check_algorithm(alg: str, accepted: tuple[str, ...]) -> None:
    if alg not in accepted:
        expected = "[" + " ".join(map(quoted, accepted)) + "]"
        detail = f"id token signed with unsupported algorithm, expected {expected} got {quoted(alg)}"
        raise unauthorized("unsupported signature algorithm", f"oidc: verify token: oidc: {detail}")


def _no_signature(keys: KeySet, token: CompactToken) -> str:
    text = "oidc: verify token: failed to verify signature: failed to verify id token signature"
    return text if keys.knows(token.kid) else f"{text} (no key for kid {quoted(token.kid or '')})"


def _forwarded(user: UserInfo, trust: Trust) -> UserInfo:
    """Rules may read the credential id in any case; upstream it needs an impersonation right of its own."""
    if trust.credential_id:
        return user
    return UserInfo(user.username, user.groups, user.uid, tuple(e for e in user.extra if e[0] != CREDENTIAL_ID))


def _caller(claimed: Claimed, user: UserInfo, fingerprint: bytes) -> Caller:
    claims = claimed.claims
    if claims.expires_at is None:  # check_times has refused it
        raise Rejection(500, "a token without exp was let through")
    return Caller(
        user=user,
        issuer=claimed.trust.issuer,
        audiences=claims.audiences,
        subject=claims.subject,
        token_id=claims.token_id,
        expires_at=float(claims.expires_at),
        fingerprint=fingerprint,
    )
