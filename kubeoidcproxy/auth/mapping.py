"""Claims to :class:`~kubeoidcproxy.identity.UserInfo`, as kube-apiserver's ``oidc.go`` does it: getUsername, getGroups,
getUID, required claims, in this order and with its texts.

A mapping is a row of plain functions over the claims, so that a CEL expression is one more function (:data:`ToText`,
:data:`ToTexts`) and the order below stays the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeoidcproxy.auth.claims import json_kind
from kubeoidcproxy.auth.names import check_edges
from kubeoidcproxy.auth.refusals import quoted, unauthorized
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import UserInfo

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

Members = Mapping[str, Any]
ToText = Callable[[Members], str]
ToTexts = Callable[[Members], tuple[str, ...]]
ClaimCheck = Callable[[Members], None]
UserCheck = Callable[[UserInfo], None]


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """How the tokens of one issuer become users. Every function raises Rejection(401) with kube's text.

    :param extra: (key, its values), in the order they are sent; a key without values is not sent.
    :param claim_checks: required claims, then claim validation rules.
    """

    username: ToText
    groups: ToTexts | None = None
    uid: ToText | None = None
    extra: tuple[tuple[str, ToTexts], ...] = ()
    claim_checks: tuple[ClaimCheck, ...] = ()
    user_checks: tuple[UserCheck, ...] = ()

    def user(self, members: Members) -> UserInfo:
        """The user that the claims describe. Mappings before checks: so kube does, whatever its documents say."""
        username = self.username(members)
        groups = self.groups(members) if self.groups else ()
        uid = self.uid(members) if self.uid else ""
        user = UserInfo(username, groups, uid, self._extra(members))
        for check in self.claim_checks:
            check(members)
        for judge in self.user_checks:
            judge(user)
        return user

    def _extra(self, members: Members) -> tuple[tuple[str, tuple[str, ...]], ...]:
        token_id = members.get("jti")
        first = ((CREDENTIAL_ID, (f"JTI={token_id}",)),) if isinstance(token_id, str) and token_id else ()
        mapped = tuple((key, values(members)) for key, values in self.extra)
        return first + tuple((key, values) for key, values in mapped if values)


def username_claim(claim: str, prefix: str) -> ToText:
    """A user name out of a claim. ``email`` counts only if it is not said to be unverified."""

    def username(members: Members) -> str:
        name = _text(members, claim, f"parse username claims {quoted(claim)}")
        if claim == "email":
            _check_verified(members)
        return _prefixed(prefix, name, "user name") if name else ""  # never a name that is the prefix alone

    return username


def groups_claim(claim: str, prefix: str) -> ToTexts:
    """Groups out of a claim that is a list of strings or one string; absent or null: none."""

    def groups(members: Members) -> tuple[str, ...]:
        value = members.get(claim)
        if claim not in members:
            _refuse_distributed(members, claim)
        if value is None:
            return ()
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, str) for entry in values):
            raise _mistyped(f"parse groups claim {quoted(claim)}", value, "string")
        return tuple(_prefixed(prefix, entry, "group") for entry in values)

    return groups


def uid_claim(claim: str) -> ToText:
    """A uid out of a claim, which must then be there."""
    return lambda members: _text(members, claim, f"parse uid claim {quoted(claim)}")


def required_claim(claim: str, wanted: str) -> ClaimCheck:
    """The claim must be there and be this string."""

    def check(members: Members) -> None:
        if claim not in members:
            raise _refused(f"required claim {claim} not present in ID token")
        got = _text(members, claim, f"parse claim {claim}")
        if got != wanted:
            raise _refused(f"required claim {claim} value does not match. Got = {got}, want = {wanted}")

    return check


def _prefixed(prefix: str, name: str, what: str) -> str:
    check_edges(what, name)  # a prefix would hide the blank in front
    return prefix + name


def _check_verified(members: Members) -> None:
    verified = members.get("email_verified", True)
    if not isinstance(verified, bool | None):
        raise _mistyped("parse 'email_verified' claim", verified, "bool")
    if not verified:
        raise _refused("email not verified")


def _refuse_distributed(members: Members, claim: str) -> None:
    """Groups that are elsewhere (OpenID Connect Core 5.6.2, Entra with more than 200 groups) are not fetched: the
    address is the token's, and a user with some of his groups missing is another user."""
    if claim in (members.get("_claim_names") or {}):
        raise unauthorized(
            "the token's groups are a distributed claim, which is not supported",
            f"oidc: could not expand distributed claims: claim {quoted(claim)} is not fetched from an endpoint",
        )


def _text(members: Members, claim: str, context: str) -> str:
    if claim not in members:
        raise _refused(f"{context}: claim not present")
    value = members[claim]
    if value is not None and not isinstance(value, str):
        raise _mistyped(context, value, "string")
    return value or ""


def _mistyped(context: str, value: object, wanted: str) -> Rejection:
    return _refused(f"{context}: json: cannot unmarshal {json_kind(value)} into Go value of type {wanted}")


def _refused(detail: str) -> Rejection:
    return unauthorized("the token's claims do not fit the configuration", f"oidc: {detail}")
