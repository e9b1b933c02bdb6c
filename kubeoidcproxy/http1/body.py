"""Where a body ends. Each scanner is told of bytes as they come and says how many of them still belong to the message.

Nothing is decoded, joined or rewritten: chunk sizes and line ends go on as they came, after they were checked.
"""

from __future__ import annotations

import re
from typing import Protocol

from kubeoidcproxy.http1.framing import Chunked, Framing, Length, NoBody
from kubeoidcproxy.http1.grammar import CHUNK_SIZE, TOKEN, VALUE
from kubeoidcproxy.http1.hops import HOP_BY_HOP
from kubeoidcproxy.http1.malformed import Malformed

_TRAILER = re.compile(rb"(" + TOKEN + rb"):" + VALUE)

# RFC 9110 section 6.5.1: a trailer cannot frame or route a message; llhttp lets it, and reads the next message wrong.
_NO_TRAILERS = HOP_BY_HOP | {b"content-length", b"transfer-encoding", b"host"}

# Longest line of the framing: 16 digits and CRLF.
_MAX_SIZE_LINE = 18

# Trailers of a response (gRPC services behind "proxy" send a few hundred bytes).
_MAX_TRAILERS = 8 * 1024


class Scanner(Protocol):
    """Finds the end of one body."""

    done: bool  #: the last byte of the body was seen

    def scan(self, data: bytes) -> int:
        """How many bytes at the start of ``data`` belong to the body; fewer than all of them only when it is done.

        :raises Malformed: the framing is broken; nothing of ``data`` may go on.
        """


class Nothing:
    """No body at all."""

    done = True

    def scan(self, data: bytes) -> int:
        return 0


class Counted:
    """A body of known length."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.done = False

    def scan(self, data: bytes) -> int:
        taken = min(len(data), self._left)
        self._left -= taken
        self.done = not self._left
        return taken


class Endless:
    """A body that ends with the connection: whoever sees the connection end marks it done."""

    done = False

    def scan(self, data: bytes) -> int:
        return len(data)


class Chunks:
    """RFC 9112 section 7.1, less extensions (P19).

    :param trailers: whether a trailer section may hold fields: never in a request (P18), where a name in it could
        become a header at the API server.
    """

    def __init__(self, *, trailers: bool = False) -> None:
        self.done = False
        self._left = 0  # bytes of the current chunk, its CRLF included
        self._line = b""  # a line of the framing that is not complete yet
        self._in_trailers = False
        self._trailers_left = _MAX_TRAILERS if trailers else 0

    def scan(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                at = self._skip_chunk(data, at)
            elif self._in_trailers:
                at = self._read_trailer(data, at)
            else:
                at = self._read_size(data, at)
        return at

    def _skip_chunk(self, data: bytes, at: int) -> int:
        """Pass over chunk data; its last two bytes must be CRLF."""
        stop = min(len(data), at + self._left)
        left = self._left - (stop - at)
        if left < 2:
            end = b"\r\n"[max(0, 2 - self._left) : 2 - left]
            if data[max(at, stop - len(end)) : stop] != end:
                raise Malformed("chunk does not end with CRLF")
        self._left = left
        return stop

    def _read_size(self, data: bytes, at: int) -> int:
        line, at = self._take_line(data, at, _MAX_SIZE_LINE)
        if line:
            match = CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise Malformed("malformed chunk size")
            size = int(match[1], 16)
            if size >> 63:  # negative to whoever counts in a signed 64-bit integer
                raise Malformed("chunk too large")
            self._in_trailers = not size
            self._left = size + 2 if size else 0
        return at

    def _read_trailer(self, data: bytes, at: int) -> int:
        line, at = self._take_line(data, at, self._trailers_left + 2)
        if line == b"\r\n":
            self.done = True
        elif line:
            self._trailers_left -= len(line)
            match = _TRAILER.fullmatch(line[:-2])
            if self._trailers_left < 0 or match is None or match[1].lower() in _NO_TRAILERS:
                raise Malformed("trailer not allowed")
        return at

    def _take_line(self, data: bytes, at: int, limit: int) -> tuple[bytes, int]:
        """One line with its CRLF, and where it ends; b"" as long as it is incomplete."""
        stop = data.find(b"\n", at, at + limit - len(self._line))
        if stop >= 0:
            line, self._line = self._line + data[at : stop + 1], b""
            if not line.endswith(b"\r\n"):
                raise Malformed("line of the chunk framing does not end with CRLF")
            return line, stop + 1
        self._line += data[at : at + limit]
        if len(self._line) >= limit:
            raise Malformed("line of the chunk framing is too long")
        if not _may_become_line(self._line):
            raise Malformed("malformed line of the chunk framing")
        return b"", len(data)


def _may_become_line(line: bytes) -> bool:
    """No CR but the last byte: a peer that takes a lone CR for a line end must not see one."""
    return b"\r" not in line[:-1]


def request_scanner(framing: Framing) -> Scanner:
    """The scanner for a request body."""
    match framing:
        case NoBody():
            return Nothing()
        case Length(size):
            return Counted(size)
        case Chunked():
            return Chunks()
    raise AssertionError("a request is never framed by close")


def response_scanner(framing: Framing) -> Scanner:
    """The scanner for a response body."""
    match framing:
        case NoBody():
            return Nothing()
        case Length(size):
            return Counted(size)
        case Chunked():
            return Chunks(trailers=True)
    return Endless()
