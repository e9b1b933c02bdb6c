"""The bearer token of a request head (policy P9)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubeoidcproxy.auth.refusals import unauthorized
from kubeoidcproxy.errors import Rejection

# RFC 6750 section 2.1: "Bearer" 1*SP b64token. One blank only: kube reads a second one as an empty token, so a client
# that sends two is told so here as well. The scheme is compared without case (RFC 9110 section 11.1).
_BEARER = re.compile(rb"(?i:bearer) ([A-Za-z0-9._~+/-]+=*)")
# A credential, a comma, and the next one's scheme: what joining two header lines gives (RFC 9110 section 5.3). The
# comma between the parameters of one Digest credential is followed by name=.
_JOINED = re.compile(rb",[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]+[^ \t=,]|[ \t]*(?:,|$))")


def find_bearer(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The token of the one ``Authorization: Bearer``.

    :param fields: (name in lower case, value) as the head has them, in order.
    :raises Rejection: 400 for two credentials, 401 for none or one that is no bearer token.
    """
    values = [value for name, value in fields if name == b"authorization"]
    if len(values) == 1:
        match = _BEARER.fullmatch(values[0])
        if match:
            return match[1]
    raise _refusal(values)


def _refusal(values: list[bytes]) -> Rejection:
    if not values:
        return unauthorized("no bearer token")
    if len(values) > 1:
        return Rejection(400, "more than one Authorization header")
    scheme, _, _ = values[0].partition(b" ")
    is_bearer = scheme.lower() == b"bearer"
    if _JOINED.search(values[0]) or (is_bearer and b"," in values[0]):
        return Rejection(400, "more than one credential in the Authorization header")
    return unauthorized("malformed bearer token") if is_bearer else unauthorized("no bearer token", "another scheme")
