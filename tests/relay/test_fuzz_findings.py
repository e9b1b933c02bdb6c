"""What the differential fuzz has found (tests/fuzz): bytes that others read otherwise than we did, each mended."""

from __future__ import annotations

import pytest

from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.http1.body import Chunks
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import parse_request
from kubeoidcproxy.relay import actions as act
from kubeoidcproxy.relay.answer import Answer, Found, Switched
from kubeoidcproxy.relay.connection import ClientConnection


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST /api HTTP/1.1", b"Host: a", *lines]) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked\t",
        b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: chunked \t ",
        b"Content-Length: 5\t",
        b"Content-Length: \t5",
    ],
)
def test_a_tab_beside_a_length_is_400(line: bytes) -> None:
    """P10: "exactly chunked". llhttp takes "chunked" with a TAB behind it for another coding, Go for the same."""
    with pytest.raises(Malformed) as caught:
        parse_request(head(line))
    assert caught.value.status == 400


@pytest.mark.parametrize("line", [b"Transfer-Encoding:  chunked  ", b"Content-Length:  5  ", b"content-length:5"])
def test_spaces_beside_a_length_are_read_by_everybody(line: bytes) -> None:
    assert parse_request(head(line))


def test_a_tab_beside_any_other_value_goes_on() -> None:
    """P5: HTAB is part of a value."""
    assert parse_request(head(b"X-T:\tv\t")).fields[-1] == (b"x-t", b"\tv\t", b"X-T:\tv\t")


UNREADABLE = [
    b"Content-Length: 5,6",
    b"Content-Length:",
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: chunked\r\nContent-Length: 0",
]


@pytest.mark.parametrize("line", UNREADABLE)
@pytest.mark.parametrize("start", [b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Early Hints"])
def test_an_interim_answer_that_declares_a_body_is_malformed(start: bytes, line: bytes) -> None:
    """R, bad Content-Length: it was relayed unread, and Go's client gave up the connection at it."""
    with pytest.raises(Malformed):
        Answer(b"GET", b"").received(start + b"\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize("line", UNREADABLE)
def test_a_switch_that_declares_a_body_is_malformed(line: bytes) -> None:
    """The tunnel begins behind the head for us, and nowhere for a client that waits for a body first."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    with pytest.raises(Malformed):
        Answer(b"GET", b"websocket").received(switch + line + b"\r\n\r\n")


def test_an_interim_answer_may_say_that_it_has_no_body() -> None:
    """Servers behind "proxy" do; everybody reads it as nothing."""
    interim = b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n"
    assert Answer(b"GET", b"").received(interim) == Found(interim)
    switch = b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"
    assert Answer(b"GET", b"websocket").received(switch + b"x") == Switched(switch, b"x")


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length: 5",
        b"transfer-encoding: identity",
        b"Connection: close",
        b"Upgrade: websocket",
        b"Host: a",
        b"Trailer: X",
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_trailer_cannot_frame_a_message(name: bytes, step: int) -> None:
    """RFC 9110 section 6.5.1. llhttp reads trailers as headers: a length in one spoils the next answer."""
    body = b"1\r\na\r\n0\r\nGrpc-Status: 0\r\n" + name + b"\r\n\r\n"
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    scanner = Chunks(trailers=True)
    with pytest.raises(Malformed):
        list(map(scanner.scan, pieces))


def test_a_trailer_that_frames_ends_in_an_aborted_answer() -> None:
    """R: the client must not take what it has for a whole answer."""
    machine = ClientConnection(lambda: Exchange("id", "10.0.0.1", 0.0, 0.0), 65536)
    machine.client_sent(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    machine.admitted(b"GET / HTTP/1.1\r\n\r\n")
    machine.upstream_opened(reused=False)
    machine.upstream_sent(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
    assert machine.upstream_sent(b"Content-Length: 5\r\n\r\n")[-1] == act.AbortClient()
