"""A request head: the strict parser of everything a client says first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubeoidcproxy.http1.framing import Framing, request_framing
from kubeoidcproxy.http1.grammar import FIELD_BLOCK, FORBIDDEN_IN_HEAD, REQUEST_LINE, REQUEST_LINE_1_1
from kubeoidcproxy.http1.hops import Hops, request_hops
from kubeoidcproxy.http1.malformed import Malformed

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})  # P2

# P16. nginx and HAProxy take 8 to 16 KiB of request line; label selectors of kubectl stay below.
MAX_REQUEST_LINE = 16 * 1024
MAX_FIELDS = 256
MAX_FIELD_NAME = 1024

END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, eq=False)
class FieldBlock:
    """The fields of a head, judged. A client says the same ones with every request, so this is worth keeping.

    :param raw: everything behind the request line, the empty line included: what it was judged by.
    :param fields: (name in lower case, value without outer spaces, the raw line without its CRLF), in order.
    :param index: name in lower case to its values, in order.
    :param memo: room for what others derive from these fields alone.
    """

    raw: bytes
    fields: tuple[tuple[bytes, bytes, bytes], ...]
    index: dict[bytes, list[bytes]]
    framing: Framing
    hops: Hops
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One request head, judged."""

    method: bytes
    target: bytes
    block: FieldBlock

    @property
    def fields(self) -> tuple[tuple[bytes, bytes, bytes], ...]:
        """As in the block."""
        return self.block.fields

    @property
    def framing(self) -> Framing:
        """As in the block."""
        return self.block.framing

    @property
    def hops(self) -> Hops:
        """As in the block."""
        return self.block.hops

    def values(self, name: bytes) -> Sequence[bytes]:
        """All values of a field, by its name in lower case."""
        return self.block.index.get(name, ())


def parse_request(head: bytes, last: FieldBlock | None = None) -> RequestHead:
    """Read one whole head, from its method to its empty line.

    :param last: the fields of the head before on this connection. Where the very same bytes follow the request line,
        they need not be judged again.
    :raises Malformed: 400, 405, 417, 431 or 505; the connection cannot go on.
    """
    end = head.find(b"\r\n")
    match = REQUEST_LINE_1_1.fullmatch(head, 0, end)
    if match is None:
        raise _diagnosis(head)
    method, target = match.groups()
    if method not in METHODS:
        raise Malformed("method not allowed", 405)
    if end > MAX_REQUEST_LINE:
        raise Malformed("request line too long", 414)
    raw = head[end + 2 :]
    if last is None or last.raw != raw:
        last = _judged(head, raw)
    return RequestHead(method, target, last)


def _judged(head: bytes, raw: bytes) -> FieldBlock:
    match = FIELD_BLOCK.fullmatch(raw)
    if match is None:
        raise _diagnosis(head)
    fields, index = read_fields(match[1])
    framing = request_framing(index)
    return FieldBlock(raw, fields, index, framing, request_hops(index, framing))


def read_fields(block: bytes) -> tuple[tuple[tuple[bytes, bytes, bytes], ...], dict[bytes, list[bytes]]]:
    """Field lines that matched the grammar, in order, and indexed by name."""
    if not block:
        return (), {}
    lines = block[:-2].split(b"\r\n")
    if len(lines) > MAX_FIELDS:
        raise Malformed("too many header fields", 431)
    fields = []
    index: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if len(name) > MAX_FIELD_NAME:
            raise Malformed("header field name too long", 431)
        name = name.lower()
        value = value.strip(b" ")  # a TAB stays, and spoils what must match exactly: llhttp keeps it in the value, too
        fields.append((name, value, line))
        index.setdefault(name, []).append(value)
    return tuple(fields), index


def judge_partial(buffer: bytes, seen: int) -> None:
    """A head that is not complete yet: refuse what can never become one, so that nobody waits for its end.

    :param seen: how many bytes at the start of the buffer were judged before.
    :raises Malformed: 400 for a forbidden byte, 414 for a request line without end.
    """
    _judge_bytes(buffer, seen)
    if len(buffer) > MAX_REQUEST_LINE and buffer.find(b"\r\n", 0, MAX_REQUEST_LINE) < 0:
        raise Malformed("request line too long", 414)


def _judge_bytes(buffer: bytes, seen: int) -> None:
    if not b"A" <= buffer[:1] <= b"Z":
        raise Malformed("not an HTTP request")
    if FORBIDDEN_IN_HEAD.search(buffer, max(seen - 1, 0)):
        raise Malformed("malformed request head")


def _diagnosis(head: bytes) -> Malformed:
    """Which code a head deserves that does not match the grammar: the same, whether it came at once or in pieces."""
    _judge_bytes(head, 0)
    line = head.partition(b"\r\n")[0]
    if len(line) > MAX_REQUEST_LINE:
        return Malformed("request line too long", 414)
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        return Malformed("malformed request line")
    if match[3] + b"." + match[4] != b"1.1":
        return Malformed("only HTTP/1.1 is served here", 505)
    if match[1] not in METHODS:
        return Malformed("method not allowed", 405)
    return Malformed("malformed header field")
