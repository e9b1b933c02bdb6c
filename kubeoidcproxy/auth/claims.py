"""The registered claims of a token, judged as kube-apiserver does.

Types, order and texts follow k8s.io/apiserver ``plugin/pkg/authenticator/token/oidc/oidc.go`` and go-oidc v2
``verify.go``, so that an admin who knows one log can read the other. Stricter on purpose: registered names in another
case are refused, and times are JSON numbers, never numbers in quotes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeoidcproxy.auth.refusals import quoted, unauthorized
from kubeoidcproxy.errors import Rejection

_REGISTERED = frozenset(
    ("iss", "sub", "aud", "exp", "nbf", "iat", "nonce", "at_hash", "_claim_names", "_claim_sources")
)
_INT64 = 2**63
_GOOGLE = "https://accounts.google.com"


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of the right types. Times in seconds since the epoch, None where absent.

    :param members: all claims, as parsed.
    """

    members: Mapping[str, Any]
    audiences: tuple[str, ...]
    subject: str
    token_id: str
    expires_at: int | None
    not_before: int | None
    issued_at: int | None


def issuer_of(members: Mapping[str, Any]) -> str | None:
    """The issuer that a payload names, None where it names none.

    Google's old tokens name theirs without the scheme; kube and go-oidc make this one exception, so do we.
    """
    issuer = members.get("iss")
    if not isinstance(issuer, str):
        return None
    return _GOOGLE if issuer == "accounts.google.com" else issuer


def read_claims(members: Mapping[str, Any]) -> Claims:
    """Check the types of all registered claims, used or not; Rejection(401) for a wrong one."""
    _refuse_other_case(members)
    for name in ("nonce", "at_hash"):
        _text(members, name)
    _check_claim_sources(members)
    token_id = members.get("jti")  # kube ignores one that is no string
    return Claims(
        members,
        _audiences(members),
        _text(members, "sub"),
        token_id if isinstance(token_id, str) else "",
        _seconds(members, "exp"),
        _seconds(members, "nbf") if members.get("nbf") is not None else None,
        _seconds(members, "iat"),
    )


def check_audience(claims: Claims, accepted: tuple[str, ...]) -> None:
    """The token is for one of these audiences, whoever else it is for; Rejection(401) if not."""
    if not set(claims.audiences).isdisjoint(accepted):
        return
    got = _listed(claims.audiences)
    wanted = quoted(accepted[0]) if len(accepted) == 1 else f"in {_listed(accepted)}"
    raise refused("token is for another audience", f"expected audience {wanted} got {got}")


def json_kind(value: object) -> str:
    """The name that Go's encoding/json gives to the kind of a value."""
    if isinstance(value, bool):
        return "bool"
    kinds: tuple[tuple[type, str], ...] = ((str, "string"), (int, "number"), (float, "number"), (list, "array"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null" if value is None else "object")


def refused(reason: str, detail: str) -> Rejection:
    """Rejection(401) in the words of go-oidc."""
    return unauthorized(reason, f"oidc: verify token: oidc: {detail}")


def _refuse_other_case(members: Mapping[str, Any]) -> None:
    """Go's encoding/json takes ``ISS`` for ``iss`` and keeps the last: two readers would see two tokens."""
    for name in members:
        if name not in _REGISTERED and name.lower() in _REGISTERED:
            raise refused("malformed token", f"claim {quoted(name)} is a registered claim in another case")


def _audiences(members: Mapping[str, Any]) -> tuple[str, ...]:
    value = members.get("aud", [])
    values = value if isinstance(value, list) else [value]
    for entry in values:
        if entry is not None and not isinstance(entry, str):
            raise _mistyped("aud", entry, "[]string")
    return tuple(entry or "" for entry in values)  # null is Go's empty string


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise _mistyped(name, value, "string")
    return value or ""


def _seconds(members: Mapping[str, Any], name: str) -> int | None:
    if name not in members:
        return None
    value = members[name]
    if isinstance(value, bool) or not isinstance(value, int | float):  # bool is an int in Python
        raise _mistyped(name, value, "json.Number")
    if isinstance(value, float) and not math.isfinite(value):  # 1e400
        raise refused("malformed token", f"failed to unmarshal claims: {name}: value out of range")
    return max(-_INT64, min(int(value), _INT64 - 1))  # a number of 4000 digits is legal JSON


def _check_claim_sources(members: Mapping[str, Any]) -> None:
    names, sources = members.get("_claim_names"), members.get("_claim_sources")
    if names is not None and not isinstance(names, dict):
        raise _mistyped("_claim_names", names, "map[string]string")
    if sources is not None and not isinstance(sources, dict):
        raise _mistyped("_claim_sources", sources, "map[string]oidc.claimSource")
    for source in (names or {}).values():
        if not isinstance(source, str):
            raise _mistyped("_claim_names", source, "string")
        if source not in (sources or {}):
            raise refused("malformed token", "source does not exist")


def _mistyped(name: str, value: object, wanted: str) -> Rejection:
    problem = f"json: cannot unmarshal {json_kind(value)} into Go struct field idToken.{name} of type {wanted}"
    return refused("malformed token", f"failed to unmarshal claims: {problem}")


def _listed(values: tuple[str, ...]) -> str:
    return "[" + " ".join(map(quoted, values)) + "]"
