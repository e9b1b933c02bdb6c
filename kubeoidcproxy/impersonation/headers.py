"""``Impersonate-*`` headers, as kube-apiserver reads them (k8s.io/apiserver pkg/endpoints/filters/impersonation)."""

from __future__ import annotations

import re

from kubeoidcproxy.identity import UserInfo

AUTHENTICATED = "system:authenticated"

# kube-apiserver lower-cases the header's name and then percent-decodes it, so whatever is not a lower-case letter,
# a digit, "-" or "." reaches it unchanged only when it is encoded.
_ENCODED_IN_KEY = re.compile(rb"[^a-z0-9.\-]")


def outgoing(user: UserInfo) -> bytes:
    """The header lines that make the API server act as this user; never empty, each line with its CRLF.

    ``system:authenticated`` comes once and last, where the API server would have added it itself: it adds none when
    groups are given without a user, and we leave nothing to be added.

    :raises ValueError: the username is empty. The API server would take the request for the proxy's own.
    """
    if not user.username:
        raise ValueError("impersonation of nobody")
    lines = [b"Impersonate-User: " + user.username.encode()]
    groups = [group for group in user.groups if group != AUTHENTICATED]
    lines += [b"Impersonate-Group: " + group.encode() for group in [*groups, AUTHENTICATED]]
    if user.uid:
        lines.append(b"Impersonate-Uid: " + user.uid.encode())
    for key, values in user.extra:
        name = b"Impersonate-Extra-" + encode_key(key)
        lines += [name + b": " + value.encode() for value in values]
    return b"".join(line + b"\r\n" for line in lines)


def encode_key(key: str) -> bytes:
    """An extra key as part of a header's name: ``example.org/team`` is ``example.org%2Fteam``."""
    return _ENCODED_IN_KEY.sub(lambda match: b"%%%02X" % match[0][0], key.encode())
