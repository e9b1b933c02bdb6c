"""Both ends of the seam joined on loopback: what holds for whatever transport is underneath."""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest
import pytest_twisted
from certificates import Authority
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.tls import seam
from kubeoidcproxy.tls.certificates import parse_pair
from kubeoidcproxy.tls.client import ClientTLS
from kubeoidcproxy.tls.server import ServerContexts

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue("localhost")
PIECE = b"x" * 65536
STREAM = random.Random("a stream").randbytes(8_000_000)
OVERRUN = {"socket": 0, "twisted": 65536}  # what may still arrive after pauseProducing


@implementer(IPushProducer)
class End(Protocol):
    """One end. As a producer it writes pieces while it may."""

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.paused = True
        self.was_paused: Deferred[None] = Deferred()
        self.lost: Deferred[type[BaseException]] = Deferred()
        self.wanted: tuple[int, Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        if self.wanted is not None and self.received >= self.wanted[0]:
            (_, reached), self.wanted = self.wanted, None
            reached.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback(reason.type)

    async def reach(self, total: int) -> None:
        if self.received < total:
            self.wanted = (total, Deferred().addTimeout(30, reactor))
            await self.wanted[1]

    def resumeProducing(self) -> None:
        self.paused = False
        reactor.callLater(0, self._write)

    def pauseProducing(self) -> None:
        self.paused = True
        if not self.was_paused.called:
            self.was_paused.callback(None)

    def stopProducing(self) -> None:
        self.paused = True

    def _write(self) -> None:
        if not self.paused:
            self.sent += len(PIECE)
            self.transport.write(PIECE)
            reactor.callLater(0, self._write)


@dataclass
class Joined:
    client: End
    server: End
    overrun: int


async def join(implementation: str, new: type[End], kernel: int | None = None) -> AsyncIterator[Joined]:
    """Two ends; the kernel buffers so many bytes for the server, or as it likes."""
    accepted: Deferred[End] = Deferred()

    def build(name: str | None) -> End:
        end = new()
        reactor.callLater(0, accepted.callback, end)
        return end

    pair = parse_pair(ISSUED.cert_pem.encode(), ISSUED.key_pem.encode(), cert_source="c", key_source="k")
    factory = seam.server_factory(ServerContexts([pair]), build, handshake_timeout=10, clock=reactor)
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    listening.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as kubeoidcproxy.listening does
    if kernel is not None:
        listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel)
        listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel)
    tls = ClientTLS(ca_pem=AUTHORITY.pem, server_name="localhost")
    client = await seam.connect(reactor, "127.0.0.1", listening.getHost().port, tls, new, timeout=10, keep_alive=30)
    both = Joined(client, await accepted, OVERRUN[implementation])
    yield both
    for end in (both.client, both.server):
        if not end.lost.called:
            end.transport.abortConnection()
            await end.lost
    await listening.stopListening()


@pytest_twisted.async_yield_fixture
async def joined(implementation: str) -> AsyncIterator[Joined]:
    async for both in join(implementation, End):
        yield both


async def _settled(writer: End) -> int:
    """All that it could write while nobody reads. Kernels enlarge their buffers meanwhile: it stops more than once."""
    sent = -1
    while not writer.paused or sent != writer.sent:
        sent = writer.sent
        await deferLater(reactor, 0.1)
    return sent


async def _a_slow_reader_pauses_the_writer(reader: End, writer: End, overrun: int) -> None:
    reader.transport.pauseProducing()
    writer.transport.registerProducer(writer, True)
    writer.resumeProducing()
    await writer.was_paused
    sent = await _settled(writer)
    assert reader.received <= overrun
    assert sent < 32 * 2**20  # the buffers of two kernels, and no more

    reader.transport.resumeProducing()
    await reader.reach(sent + 5 * len(PIECE))
    writer.stopProducing()
    writer.transport.unregisterProducer()
    writer.transport.loseConnection()
    await reader.lost
    assert reader.received == writer.sent


@pytest_twisted.ensureDeferred
async def test_a_slow_client_pauses_the_server(joined: Joined) -> None:
    await _a_slow_reader_pauses_the_writer(joined.client, joined.server, joined.overrun)


@pytest_twisted.ensureDeferred
async def test_a_slow_server_pauses_the_client(joined: Joined) -> None:
    await _a_slow_reader_pauses_the_writer(joined.server, joined.client, joined.overrun)


@pytest_twisted.ensureDeferred
async def test_pausing_in_the_middle_of_a_stream_stops_it(joined: Joined) -> None:
    joined.server.transport.registerProducer(joined.server, True)
    joined.server.resumeProducing()
    await joined.client.reach(1_000_000)
    joined.client.transport.pauseProducing()
    received = joined.client.received
    await deferLater(reactor, 0.1)
    assert joined.client.received - received <= joined.overrun


class Restless(End):
    """Sends a stream both can tell, and whenever it hears something, stops itself or the other for a moment."""

    TOTAL = len(STREAM)
    chance: random.Random
    other: Restless

    def begin(self, chance: random.Random, other: Restless) -> None:
        self.chance = chance
        self.other = other
        self.heard = hashlib.sha256()
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def _write(self) -> None:
        if not self.paused and self.sent < self.TOTAL:
            piece = STREAM[self.sent : min(self.TOTAL, self.sent + self.chance.choice((1, 1000, 16384, 100_000)))]
            self.sent += len(piece)
            self.transport.write(piece)
            reactor.callLater(0, self._write)

    def dataReceived(self, data: bytes) -> None:
        self.heard.update(data)
        if self.chance.random() < 0.5:
            transport = self.chance.choice((self, self.other)).transport
            transport.pauseProducing()
            reactor.callLater(self.chance.choice((0, 0.001)), transport.resumeProducing)
        super().dataReceived(data)


@pytest.mark.parametrize("seed", range(3))
@pytest_twisted.ensureDeferred
async def test_pauses_at_any_time_lose_nothing(implementation: str, seed: int) -> None:
    async for both in join(implementation, Restless, kernel=16384):
        chance = random.Random(seed)
        ends = cast("tuple[Restless, Restless]", (both.client, both.server))
        ends[0].begin(chance, ends[1])
        ends[1].begin(chance, ends[0])
        for end in ends:
            await end.reach(Restless.TOTAL)
            assert end.heard.digest() == hashlib.sha256(STREAM).digest()


@pytest_twisted.ensureDeferred
async def test_lose_connection_ends_both_cleanly_and_delivers_all(joined: Joined) -> None:
    joined.server.transport.write(PIECE * 100)
    joined.server.transport.loseConnection()
    assert await joined.client.lost is ConnectionDone
    assert await joined.server.lost is ConnectionDone
    assert joined.client.received == 100 * len(PIECE)


@pytest_twisted.ensureDeferred
async def test_abort_connection_resets(joined: Joined) -> None:
    joined.client.transport.abortConnection()
    assert issubclass(await joined.client.lost, ConnectionLost)
    assert await joined.server.lost is ConnectionLost


@pytest_twisted.ensureDeferred
async def test_keep_alive_and_no_delay_can_be_set(joined: Joined) -> None:
    for end in (joined.client, joined.server):
        end.transport.setTcpKeepAlive(True)
        end.transport.setTcpNoDelay(True)
        assert end.transport.getTcpKeepAlive()
        assert end.transport.getTcpNoDelay()


@pytest_twisted.ensureDeferred
async def test_upstream_sockets_wait_for_nothing_and_are_probed(joined: Joined) -> None:
    transport = joined.client.transport
    plain = transport._socket if joined.overrun == 0 else transport.transport.getHandle()
    options = (socket.TCP_NODELAY, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
    assert [plain.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [1, 30, 30]
    assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest_twisted.ensureDeferred
async def test_each_end_knows_both_addresses(joined: Joined) -> None:
    client, server = joined.client.transport, joined.server.transport
    assert client.getPeer() == server.getHost()
    assert client.getHost() == server.getPeer()
