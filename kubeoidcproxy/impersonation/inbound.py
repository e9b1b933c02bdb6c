"""A client's own ``Impersonate-*`` headers (``kubectl --as``).

This version does not evaluate them, so nobody may: what kube would understand is forbidden, the rest is malformed.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeoidcproxy.errors import Rejection

USER = b"impersonate-user"
EXTRA = b"impersonate-extra-"
KNOWN = frozenset({USER, b"impersonate-group", b"impersonate-uid"})


def refuse_inbound(fields: Iterable[tuple[bytes, bytes, bytes]], username: str) -> None:
    """Refuse a request that asks for impersonation; pass every other.

    By prefix and not by list: a header that a later Kubernetes knows must not slip through (Pinniped does the same).

    :param fields: (name in lower case, value, line) of a request head.
    :param username: who asks.
    :raises Rejection: 403 in kube's words; 400 for a name that kube does not know, a value that is no text, or
        anything without a user to impersonate.
    """
    asked = [(name, value) for name, value, _ in fields if name.startswith(b"impersonate")]
    if not asked:
        return
    for name, _ in asked:
        if not name.startswith(b"impersonate-"):  # an alias for whoever folds "." and "-", so close as for P6
            raise Rejection(400, "unknown impersonation header")
        if name not in KNOWN and not name.startswith(EXTRA):
            raise _malformed("unknown impersonation header")
    users = [_text(value) for name, value in asked if name == USER]
    for _, value in asked:
        _text(value)
    if not users or not users[0]:
        raise _malformed("impersonation headers without impersonating a user")
    raise Rejection(
        403,
        f'users "{users[0]}" is forbidden: User "{username}" cannot impersonate resource "users" in API group "" '
        "at the cluster scope: this proxy does not support impersonation by its users yet",
    )


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("an impersonation header is not UTF-8") from None


def _malformed(text: str) -> Rejection:
    """P7: the head itself was understood, so the connection may go on."""
    return Rejection(400, text, close=False)
