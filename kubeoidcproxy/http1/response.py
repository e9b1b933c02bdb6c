"""A response head, read as strictly as a request: what the API server says must mean one thing to the client, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeoidcproxy.http1.grammar import RESPONSE_HEAD
from kubeoidcproxy.http1.hops import HOP_BY_HOP
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import read_fields


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """One response head.

    :param raw: the head as received, its empty line included.
    :param fields: (name in lower case, value, raw line), in order.
    """

    status: int
    raw: bytes
    fields: tuple[tuple[bytes, bytes, bytes], ...]
    index: dict[bytes, list[bytes]]

    def values(self, name: bytes) -> Sequence[bytes]:
        """All values of a field, by its name in lower case."""
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
        dropped = HOP_BY_HOP | self.options
        kept = [line for name, _, line in self.fields if name not in dropped or name in _FRAMING]
        return b"\r\n".join([self.raw.partition(b"\r\n")[0], *kept]) + b"\r\n" + extra + b"\r\n"


_FRAMING = frozenset({b"content-length", b"transfer-encoding"})  # Connection cannot name these away


def parse_response(head: bytes) -> ResponseHead:
    """Read one whole head, from its version to its empty line.

    :raises Malformed: it is no HTTP/1.1 response head.
    """
    match = RESPONSE_HEAD.fullmatch(head)
    if match is None:
        raise Malformed("malformed response head")
    fields, index = read_fields(match[3])
    return ResponseHead(int(match[1]), head, fields, index)
