"""The head that goes upstream: the client's, less what it may not say, plus what only we may say.

Removal first, addition last, and then a look at the finished bytes: impersonation fails open (law 1).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.http1.hops import HOP_BY_HOP
from kubeoidcproxy.http1.request import RequestHead

# Law 2 and P7: identity, where it came from and what it is called in the audit log are ours to say.
OURS = frozenset({b"authorization", b"host", b"audit-id", b"forwarded", b"x-real-ip"})
OUR_PREFIXES = (b"impersonate", b"x-remote-", b"x-forwarded-")
_DROPPED = HOP_BY_HOP | OURS

# k8s.io/apiserver pkg/authentication/request/websocket: an entry of this form is a bearer token to the API server.
BEARER_PROTOCOL = b"base64url.bearer.authorization.k8s.io."


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
    lines = [head.method + b" " + target + b" HTTP/1.1", b"Host: " + additions.host]
    nominated = head.hops.nominated
    for name, value, line in head.fields:
        if name in _DROPPED or name.startswith(OUR_PREFIXES) or name in nominated:
            continue
        if name == b"sec-websocket-protocol":
            lines += _without_bearer(value, line)
        else:
            lines.append(line)
    if head.hops.upgrade:
        lines += (b"Connection: Upgrade", b"Upgrade: " + head.hops.upgrade)
    lines += (b"X-Forwarded-For: " + additions.source, b"Audit-ID: " + additions.audit_id)
    if additions.authorization is not None:
        lines.append(b"Authorization: " + additions.authorization)
    finished = b"\r\n".join(lines) + b"\r\n" + additions.impersonation + b"\r\n"
    assert_safe(finished, additions)
    return finished


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
    lowered = finished.lower()
    block = additions.impersonation
    intended = block.lower()
    safe = (
        finished.endswith(block + b"\r\n")
        and lowered.count(b"\r\n\r\n") == 1
        and lowered.count(b"\r\nauthorization:") == (additions.authorization is not None)
        and lowered.count(b"\r\nimpersonate") == intended.count(b"\r\nimpersonate") + bool(block)
        and lowered.count(b"\r\nimpersonate-user:") == bool(block)
        and (not block or (block.startswith(b"Impersonate-User: ") and block[18:19] > b" "))
        and additions.authorization != b""
        and lowered.count(b"\n") == lowered.count(b"\r\n") == lowered.count(b"\r")
    )
    if not safe:
        raise Rejection(500, "internal error", detail="the finished head failed its check (law 1)")
