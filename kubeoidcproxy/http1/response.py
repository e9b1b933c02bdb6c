"""A response head, read as strictly as a request: what the API server says must mean one thing to the client, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kubeoidcproxy.http1.grammar import RESPONSE_HEAD
from kubeoidcproxy.http1.hops import HOP_BY_HOP
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import MAX_FIELDS

# The fields that decide what becomes of a response: its framing, and what is about the connection alone. The others are
# passed on unread, so only these are looked for.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_DECISIVE = re.compile(rb"\r\n(" + b"|".join(sorted(HOP_BY_HOP | _FRAMING)) + rb"):([^\r]*)", re.IGNORECASE)
_HOP_LINE = re.compile(rb"\r\n(?:" + b"|".join(sorted(HOP_BY_HOP)) + rb"):[^\r]*", re.IGNORECASE)
_PLAIN_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade", b""})  # they name no field, or one that goes anyway


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """One response head.

    :param raw: the head as received, its empty line included.
    :param index: the decisive fields: name in lower case to its values, in order.
    """

    status: int
    raw: bytes
    index: dict[bytes, list[bytes]]

    def values(self, name: bytes) -> Sequence[bytes]:
        """All values of a decisive field, by its name in lower case."""
        return self.index.get(name, ())

    @property
    def closes(self) -> bool:
        """The sender will not use the connection again."""
        return b"close" in self.options

    @property
    def options(self) -> frozenset[bytes]:
        """The options of ``Connection``, in lower case."""
        return frozenset(o.strip(b" \t").lower() for value in self.values(b"connection") for o in value.split(b","))

    def relayed(self, extra: bytes = b"") -> bytes:
        """The head as it goes to the client: less what was about the upstream connection, plus ``extra`` lines.

        Without hop-by-hop fields and extras these are the very bytes that came.
        """
        if not extra and HOP_BY_HOP.isdisjoint(self.index):
            return self.raw
        kept = _HOP_LINE.sub(b"", self.raw[:-4])
        nominated = self.options - _PLAIN_OPTIONS - _FRAMING  # framing is nothing that Connection can name away
        if nominated:
            start, *lines = kept.split(b"\r\n")
            kept = b"\r\n".join([start, *(s for s in lines if s.partition(b":")[0].lower() not in nominated)])
        return b"%s\r\n%s\r\n" % (kept, extra)


def parse_response(head: bytes) -> ResponseHead:
    """Read one whole head, from its version to its empty line.

    :raises Malformed: it is no HTTP/1.1 response head.
    """
    match = RESPONSE_HEAD.fullmatch(head)
    if match is None:
        raise Malformed("malformed response head")
    if head.count(b"\r\n") > MAX_FIELDS + 2:
        raise Malformed("too many header fields in a response")
    index: dict[bytes, list[bytes]] = {}
    for name, value in _DECISIVE.findall(head):
        index.setdefault(name.lower(), []).append(value.strip(b" "))
    return ResponseHead(int(match[1]), head, index)
