"""A refusal as bytes: a ``v1.Status`` that kubectl prints (law 12)."""

from __future__ import annotations

import json

from kubeoidcproxy.errors import Rejection

REASON_PHRASES = {
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}

_EXTRA = {
    401: b"WWW-Authenticate: Bearer\r\n",  # RFC 9110 section 15.5.2 demands one
    405: b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",  # section 15.5.6
}


def status_body(rejection: Rejection, request_id: str) -> bytes:
    """The ``v1.Status`` object; its message ends in the request's id, which is its auditID."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"{rejection.message} (request {request_id})",
        "reason": rejection.reason,
        "code": rejection.status,
    }
    if rejection.retry_after is not None:
        status["details"] = {"retryAfterSeconds": rejection.retry_after}
    return json.dumps(status).encode()


def refusal(rejection: Rejection, request_id: str, *, close: bool, head_only: bool) -> bytes:
    """The whole answer.

    :param close: tell the client that the connection ends.
    :param head_only: the request was a HEAD: the same head, no body.
    """
    body = status_body(rejection, request_id)
    lines = [
        b"HTTP/1.1 %d %s\r\n" % (rejection.status, REASON_PHRASES.get(rejection.status, b"Error")),
        b"Content-Type: application/json\r\nCache-Control: no-store\r\n",
        b"Audit-Id: %s\r\n" % request_id.encode(),
        b"Content-Length: %d\r\n" % len(body),
        _EXTRA.get(rejection.status, b""),
    ]
    if rejection.retry_after is not None:
        lines.append(b"Retry-After: %d\r\n" % rejection.retry_after)
    if close:
        lines.append(b"Connection: close\r\n")
    return b"".join(lines) + b"\r\n" + (b"" if head_only else body)
