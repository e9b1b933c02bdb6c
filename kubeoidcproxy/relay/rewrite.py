"""The head that goes upstream: the client's, less what it may not say, plus what only we may say.

Removal first, addition last, and then a look at the finished bytes: impersonation fails open (law 1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.http1.hops import HOP_BY_HOP
from kubeoidcproxy.http1.request import FieldBlock, RequestHead

# Law 2 and P7: identity, where it came from and what it is called in the audit log are ours to say.
OURS = frozenset({b"authorization", b"host", b"audit-id", b"forwarded", b"x-real-ip"})
OUR_PREFIXES = (b"impersonate", b"x-remote-", b"x-forwarded-")
_DROPPED = HOP_BY_HOP | OURS

# k8s.io/apiserver pkg/authentication/request/websocket: an entry of this form is a bearer token to the API server.
BEARER_PROTOCOL = b"base64url.bearer.authorization.k8s.io."

# Lines without a control byte, and at the end the only empty one.
_LINES = re.compile(rb"(?:[\t\x20-\x7e\x80-\xff]+\r\n)+\r\n")

# Where a line begins to say who acts. One search for both: a pass over the head for each name took twice as long.
_SAID_OF_IDENTITY = re.compile(rb"(?i)\n(authorization:|impersonate[^:\r\n]*)")


@dataclass(frozen=True, slots=True)
class Additions:
    """What we say of a request.

    :param host: the API server's ``Host``.
    :param authorization: our credential, or None where the connection's client certificate is the credential.
    :param impersonation: header lines of the caller, each with its CRLF; b"" for a cluster without impersonation.
    :param audit_id: joins our record to the API server's.
    :param source: the client's address.
    """

    host: bytes
    authorization: bytes | None
    impersonation: bytes
    audit_id: bytes
    source: bytes


def upstream_head(head: RequestHead, target: bytes, additions: Additions) -> bytes:
    """The finished head, checked.

    :raises Rejection: 500, and nothing may be sent: the bytes do not say exactly what we meant.
    """
    kept = head.block.memo.get(upstream_head)
    if kept is None:
        kept = head.block.memo[upstream_head] = _kept(head.block)
    authorization = additions.authorization
    finished = b"".join(
        (
            head.method,
            b" ",
            target,
            b" HTTP/1.1\r\nHost: ",
            additions.host,
            kept,
            b"\r\nX-Forwarded-For: ",
            additions.source,
            b"\r\nAudit-ID: ",
            additions.audit_id,
            b"\r\n" if authorization is None else b"\r\nAuthorization: " + authorization + b"\r\n",
            additions.impersonation,
            b"\r\n",
        )
    )
    assert_safe(finished, additions)
    return finished


def _kept(block: FieldBlock) -> bytes:
    """What of the client's fields goes on, each line behind a CRLF."""
    lines = [b""]
    for name, value, line in block.fields:
        if name in _DROPPED or name.startswith(OUR_PREFIXES) or name in block.hops.nominated:
            continue
        lines += _without_bearer(value, line) if name == b"sec-websocket-protocol" else (line,)
    if block.hops.upgrade:
        lines += (b"Connection: Upgrade", b"Upgrade: " + block.hops.upgrade)
    return b"\r\n".join(lines)


def _without_bearer(value: bytes, line: bytes) -> list[bytes]:
    """A Sec-WebSocket-Protocol line less its bearer entries; no line if nothing else was in it."""
    if BEARER_PROTOCOL not in value:
        return [line]
    kept = [entry for entry in (e.strip(b" \t") for e in value.split(b",")) if BEARER_PROTOCOL not in entry]
    return [b"Sec-WebSocket-Protocol: " + b", ".join(kept)] if kept else []


def assert_safe(finished: bytes, additions: Additions) -> None:
    """Law 1 on the finished bytes, whatever made them: exactly our credential, exactly our impersonation.

    Exactly one ``Authorization`` (none where a client certificate is the credential), and either one non-empty
    ``Impersonate-User`` with no other ``Impersonate-*`` than the block's, or none at all.

    :raises Rejection: 500.
    """
    block = additions.impersonation
    expected = _SAID_OF_IDENTITY.findall(b"\n" + block)
    names = [name.lower() for name in expected]
    said = expected if additions.authorization is None else [b"Authorization:", *expected]
    safe = (
        _LINES.fullmatch(finished) is not None
        and finished.endswith(block + b"\r\n")
        and _SAID_OF_IDENTITY.findall(finished) == said
        and names.count(b"impersonate-user") == bool(block)
        and len(names) == block.count(b"\r\n")
        and b"authorization:" not in names
        and (not block or (block.startswith(b"Impersonate-User: ") and block[18:19] > b" "))
        and additions.authorization != b""
    )
    if not safe:
        raise Rejection(500, "internal error", detail="the finished head failed its check (law 1)")
