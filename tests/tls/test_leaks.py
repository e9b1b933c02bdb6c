"""Connections that came and went leave nothing: no descriptor, no object, no memory."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_twisted
from certificates import Authority
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from kubeoidcproxy.tls import seam
from kubeoidcproxy.tls.certificates import parse_pair
from kubeoidcproxy.tls.client import ClientTLS
from kubeoidcproxy.tls.server import ServerContexts

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue("localhost")
TRUSTING = ClientTLS(ca_pem=AUTHORITY.pem, server_name="localhost")
STRANGER = ClientTLS(ca_pem=AUTHORITY.pem, server_name="elsewhere.example.com")


class End(Protocol):
    """Either end: a request is answered, and the answer ends it."""

    def __init__(self, name: str | None = None) -> None:
        self.answered: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if data == b"?":
            self.transport.write(b"!")
        elif data == b"end":
            self.transport.loseConnection()
        else:
            self.answered.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback(None)


@pytest_twisted.async_yield_fixture
async def port(implementation: str) -> AsyncIterator[int]:
    pair = parse_pair(ISSUED.cert_pem.encode(), ISSUED.key_pem.encode(), cert_source="c", key_source="k")
    factory = seam.server_factory(ServerContexts([pair]), End, handshake_timeout=10, clock=reactor)
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    listening.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as kubeoidcproxy.listening does
    yield listening.getHost().port
    await listening.stopListening()


def connect(port: int, tls: ClientTLS = TRUSTING) -> Deferred[End]:
    return seam.connect(reactor, "127.0.0.1", port, tls, End, timeout=10)


async def ended_by_us(port: int) -> None:
    end = await connect(port)
    end.transport.write(b"?")
    await end.answered
    end.transport.loseConnection()
    await end.lost


async def ended_by_the_server(port: int) -> None:
    end = await connect(port)
    end.transport.write(b"end")
    await end.lost


async def aborted(port: int) -> None:
    end = await connect(port)
    end.transport.write(b"?")
    end.transport.abortConnection()
    await end.lost


async def given_up_in_the_handshake(port: int) -> None:
    attempt = connect(port)
    await deferLater(reactor, 0.0005)
    attempt.cancel()
    with suppress(CancelledError):
        (await attempt).transport.abortConnection()


async def refused_by_us(port: int) -> None:
    with suppress(Exception):
        await connect(port, STRANGER)


async def no_tls(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.send(b"GET / HTTP/1.1\r\n\r\n")
        await deferLater(reactor, 0)


WAYS = (ended_by_us, ended_by_the_server, aborted, given_up_in_the_handshake, refused_by_us, no_tls)


async def come_and_go(port: int, times: int) -> None:
    for number in range(times):
        await WAYS[number % len(WAYS)](port)
    await deferLater(reactor, 0.1)
    gc.collect()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def connections() -> int:
    """Connections of OpenSSL that are still alive."""
    return sum(type(thing) is SSL.Connection for thing in gc.get_objects())


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest_twisted.ensureDeferred
async def test_300_connections_leave_nothing(port: int) -> None:
    await come_and_go(port, len(WAYS))
    before = (descriptors(), connections())
    await come_and_go(port, 300)
    assert (descriptors(), connections()) == before


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_10_000_connections_leave_nothing(port: int) -> None:
    await come_and_go(port, 1000)
    before, memory = (descriptors(), connections()), resident()
    await come_and_go(port, 10_000)
    assert (descriptors(), connections()) == before
    assert resident() - memory < 2 * 2**20


@pytest_twisted.ensureDeferred
async def test_nothing_needs_the_garbage_collector(port: int, implementation: str) -> None:
    """Cycles would wait for it, with 25 KiB of OpenSSL's each."""
    if implementation == "twisted":
        pytest.skip("Twisted's TLS leaves cycles")
    await come_and_go(port, len(WAYS))
    before = connections()
    gc.disable()
    try:
        for _ in range(10):
            await ended_by_us(port)
            await ended_by_the_server(port)
            await aborted(port)
        await deferLater(reactor, 0.1)
        assert connections() == before
    finally:
        gc.enable()
