"""SPDY frames, from a client of the same format."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest

from kubeoidcproxy.sandbox.apiserver.spdy import (
    DataArrived,
    GoneAway,
    PingArrived,
    SpdyError,
    SpdyServer,
    StreamOpened,
    StreamReset,
)
from kubeoidcproxy.sandbox.apiserver.spdy_dictionary import spdy_dictionary


class Client:
    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=spdy_dictionary())

    def open(self, stream_id: int, headers: dict[str, str], flags: int = 0) -> bytes:
        strings = (text.encode() for pair in headers.items() for text in pair)
        block = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(s)) + s for s in strings)
        compressed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(1, struct.pack(">IIH", stream_id, 0, 0) + compressed, flags)


def control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload


def test_the_dictionary_is_the_one_of_the_specification() -> None:
    digest = hashlib.sha256(spdy_dictionary()).hexdigest()
    assert digest == "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"


def test_streams_share_one_compression_state() -> None:
    client, server = Client(), SpdyServer()
    frames = client.open(1, {"streamtype": "error", "port": "80"}) + client.open(3, {"streamtype": "data"}, flags=1)
    assert list(server.receive(frames)) == [
        StreamOpened(1, {"streamtype": "error", "port": "80"}),
        StreamOpened(3, {"streamtype": "data"}),
        DataArrived(3, b"", True),
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_bytes_may_come_in_any_pieces(size: int) -> None:
    client, server = Client(), SpdyServer()
    frames = client.open(1, {"a": "b"}) + struct.pack(">II", 1, 5) + b"hello" + control(6, struct.pack(">I", 9))
    pieces = [frames[i : i + size] for i in range(0, len(frames), size)]
    events = [event for piece in pieces for event in server.receive(piece)]
    assert events == [StreamOpened(1, {"a": "b"}), DataArrived(1, b"hello", False), PingArrived(9)]


def test_what_the_server_sends_can_be_read() -> None:
    server, inflate = SpdyServer(), zlib.decompressobj(zdict=spdy_dictionary())
    for stream_id in (1, 3):
        reply = server.reply(stream_id)
        assert reply[:4] == b"\x80\x03\x00\x02"
        assert inflate.decompress(reply[12:]) == struct.pack(">I", 0)
    assert server.data(3, b"xy", last=True) == b"\x00\x00\x00\x03\x01\x00\x00\x02xy"
    assert server.pong(7) == control(6, struct.pack(">I", 7))


def test_other_frames() -> None:
    server = SpdyServer()
    reset, gone = control(3, struct.pack(">II", 5, 1)), control(7, struct.pack(">II", 5, 0))
    window = control(9, struct.pack(">II", 1, 1000))
    assert list(server.receive(reset + window + gone)) == [StreamReset(5), GoneAway()]


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">HHI", 0x8002, 1, 0),
        control(1, b"\0" * 10 + b"not compressed"),
        struct.pack(">II", 1, 0xFFFFFF),
    ],
)
def test_nonsense_is_an_error(frame: bytes) -> None:
    with pytest.raises(SpdyError):
        list(SpdyServer().receive(frame))
