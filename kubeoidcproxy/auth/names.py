"""Which names may go upstream at all (policy row "names", law 3).

A name becomes a header value. An empty one would mean *no impersonation*, the rights of the proxy itself; a control
character or an edge blank could make another name of it on the way; ``system:`` names are the cluster's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeoidcproxy.auth.refusals import forbidden, quoted, unauthorized
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import UserInfo

SYSTEM = "system:"
AUTHENTICATED = "system:authenticated"  # every caller is in it anyway, so a token that claims it claims nothing

# C0, DEL, C1, and surrogates, which have no UTF-8.
_UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class AllowedNames:
    """``reservedIdentities`` of one issuer: the ``system:`` names that its tokens may carry."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


def admit(user: UserInfo, allowed: AllowedNames) -> UserInfo:
    """The user without ``system:authenticated``.

    :raises Rejection: 401 for a name that cannot be sent, 403 for a reserved one that the issuer may not give.
    """
    _check_sendable(user)
    if user.username.startswith(SYSTEM) and user.username not in allowed.users:
        raise forbidden("the user name in the token is reserved", f"reserved user name {quoted(user.username)}")
    groups = tuple(group for group in user.groups if group != AUTHENTICATED)
    for group in groups:
        if group.startswith(SYSTEM) and group not in allowed.groups:
            raise forbidden("a group in the token is reserved", f"reserved group {quoted(group)}")
    return UserInfo(user.username, groups, user.uid, user.extra)


def _check_sendable(user: UserInfo) -> None:
    _check("user name", user.username, may_be_empty=False)
    _check("uid", user.uid, may_be_empty=True)
    for group in user.groups:
        _check("group", group, may_be_empty=False)
    for _, values in user.extra:
        for value in values:
            _check("extra value", value, may_be_empty=True)


def _check(what: str, name: str, *, may_be_empty: bool) -> None:
    if not name and not may_be_empty:
        raise unauthorized(f"the {what} in the token is empty")
    check_edges(what, name)
    if _UNSENDABLE.search(name):
        raise _malformed(what, f"{quoted(name)} has characters that no header can hold")


def check_edges(what: str, name: str) -> None:
    """Raise Rejection(401) for a blank at an edge of a name, of any kind that Unicode has."""
    if name != name.strip():
        raise _malformed(what, f"{quoted(name)} has blanks at its edges")


def _malformed(what: str, detail: str) -> Rejection:
    return unauthorized(f"the {what} in the token is malformed", f"{what} {detail}")
