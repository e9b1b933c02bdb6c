"""The server's half of SPDY/3.1, as far as kubectl's port-forward speaks it: streams, data, pings, no I/O.

There is no flow control here, on purpose: kubectl's library (moby/spdystream) neither sends WINDOW_UPDATE nor looks at
it, so whoever kept to the windows would wait for ever after 64 KiB. Back-pressure is that of the connection below.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubeoidcproxy.sandbox.apiserver.spdy_dictionary import spdy_dictionary

MAX_FRAME = 1 << 20  # kubectl sends 32 KiB at a time; the format itself would allow 16 MiB
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_CONTROL = 0x80
_FIN = 0x01
_VERSION = 3
_HEADER = 8
_INTERNAL_ERROR = 6


class SpdyError(Exception):
    """The peer does not speak SPDY/3.1."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    stream_id: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataArrived:
    """Data of a stream; ``last`` where the peer sends no more on it."""

    stream_id: int
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class StreamReset:
    stream_id: int


@dataclass(frozen=True, slots=True)
class PingArrived:
    """To be answered with the same number."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The peer opens no more streams."""


Event = StreamOpened | DataArrived | StreamReset | PingArrived | GoneAway


class SpdyServer:
    """Bytes in, events out; and frames as bytes to send. Header blocks share one compression state each way."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=spdy_dictionary())
        self._deflate = zlib.compressobj(zdict=spdy_dictionary())

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events of all frames that are now complete."""
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            length = int.from_bytes(self._buffer[5:8], "big")
            if length > MAX_FRAME:
                raise SpdyError(f"a frame of {length} bytes")
            if len(self._buffer) < _HEADER + length:
                return
            head, payload = bytes(self._buffer[:_HEADER]), bytes(self._buffer[_HEADER : _HEADER + length])
            del self._buffer[: _HEADER + length]
            yield from self._frame(head, payload)

    def reply(self, stream_id: int) -> bytes:
        """Accept a stream (SYN_REPLY without headers)."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_REPLY, struct.pack(">I", stream_id) + block)

    def data(self, stream_id: int, data: bytes, *, last: bool = False) -> bytes:
        flags = _FIN if last else 0
        return struct.pack(">II", stream_id, flags << 24 | len(data)) + data

    def reset(self, stream_id: int) -> bytes:
        return _control(_RST_STREAM, struct.pack(">II", stream_id, _INTERNAL_ERROR))

    def pong(self, ping_id: int) -> bytes:
        return _control(_PING, struct.pack(">I", ping_id))

    def _frame(self, head: bytes, payload: bytes) -> Iterator[Event]:
        last = bool(head[4] & _FIN)
        if not head[0] & _CONTROL:
            yield DataArrived(int.from_bytes(head[:4], "big"), payload, last)
            return
        if int.from_bytes(head[:2], "big") & 0x7FFF != _VERSION:
            raise SpdyError("another version than 3")
        try:
            yield from self._control_frame(int.from_bytes(head[2:4], "big"), payload, last)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError("a malformed control frame") from error

    def _control_frame(self, kind: int, payload: bytes, last: bool) -> Iterator[Event]:
        number = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        if kind == _SYN_STREAM:
            yield StreamOpened(number, _headers(self._inflate.decompress(payload[10:], MAX_FRAME)))
            if last:
                yield DataArrived(number, b"", True)
        elif kind == _RST_STREAM:
            yield StreamReset(number)
        elif kind == _PING:
            yield PingArrived(number)
        elif kind == _GOAWAY:
            yield GoneAway()


def _control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", _CONTROL << 8 | _VERSION, kind, len(payload)) + payload


def _headers(block: bytes) -> dict[str, str]:
    (count,) = struct.unpack_from(">I", block)
    strings = _strings(block[4:])
    return {next(strings): next(strings) for _ in range(min(count, len(block)))}


def _strings(block: bytes) -> Iterator[str]:
    position = 0
    while True:
        (length,) = struct.unpack_from(">I", block, position)
        yield block[position + 4 : position + 4 + length].decode()
        position += 4 + length
