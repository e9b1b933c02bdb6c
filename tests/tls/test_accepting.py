"""A client's handshake, step by step in memory: nothing inside before it is over, and it is over in bounded time."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import pytest
from certificates import Authority
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from kubeoidcproxy.tls import seam
from kubeoidcproxy.tls.certificates import parse_pair
from kubeoidcproxy.tls.server import ServerContexts
from kubeoidcproxy.tls.twisted_tls import ABORT_WITHIN, CLOSE_WITHIN

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue("prod.example.com")
CONTEXTS = ServerContexts(
    [parse_pair(ISSUED.cert_pem.encode(), ISSUED.key_pem.encode(), cert_source="c", key_source="k")]
)
TIMEOUT = 10.0
PEER = IPv4Address("TCP", "192.0.2.1", 4711)


class Wire(StringTransport):
    """The TCP connection under the TLS, as the server has it."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Inner(Protocol):
    def __init__(self) -> None:
        self.received = b""
        self.lost: list[type[BaseException]] = []
        self.on_made = lambda: None

    def connectionMade(self) -> None:
        self.on_made()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason.type)


class Conversation:
    """A server connection of ours and a client of the standard library, joined by hand."""

    def __init__(self, name: str | None = "prod.example.com") -> None:
        self.clock = Clock()
        self.built: list[tuple[str | None, Inner]] = []
        self.on_made = lambda: None
        factory = seam.server_factory(CONTEXTS, self._build, handshake_timeout=TIMEOUT, clock=self.clock)
        self.outer = factory.buildProtocol(PEER)
        self.wire = Wire(peerAddress=PEER)
        self.outer.makeConnection(self.wire)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cadata=AUTHORITY.pem)
        context.check_hostname = False
        self.client = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def _build(self, name: str | None) -> Inner:
        inner = Inner()
        inner.on_made = self.on_made
        self.built.append((name, inner))
        return inner

    @property
    def inner(self) -> Inner:
        ((_, inner),) = self.built
        return inner

    def start(self) -> bytes:
        """The ClientHello."""
        with pytest.raises(ssl.SSLWantReadError):
            self.client.do_handshake()
        return self._outgoing.read()

    def answer(self, more: bytes = b"") -> bytes:
        """The client's last flight of the handshake, and application data in the same piece."""
        self.take()
        self.client.do_handshake()
        if more:
            self.client.write(more)
        return self._outgoing.read()

    def connect(self) -> Inner:
        self.outer.dataReceived(self.start())
        self.outer.dataReceived(self.answer())
        self.take()
        return self.inner

    def take(self) -> None:
        """What the server sent reaches the client."""
        self._incoming.write(self.wire.value())
        self.wire.clear()

    def read(self) -> bytes:
        self.take()
        return self.client.read(100_000)

    def send(self, data: bytes) -> None:
        self.client.write(data)
        self.outer.dataReceived(self._outgoing.read())

    def send_close_notify(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # it waits for ours
            self.client.unwrap()
        self.outer.dataReceived(self._outgoing.read())

    def cut(self, reason: Exception | None = None) -> None:
        self.outer.connectionLost(Failure(reason or ConnectionDone()))


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


@pytest.fixture
def log_levels() -> Iterator[list[LogLevel]]:
    levels: list[LogLevel] = []

    def observe(event: dict[str, LogLevel]) -> None:
        levels.append(event["log_level"])

    globalLogPublisher.addObserver(observe)
    yield levels
    globalLogPublisher.removeObserver(observe)


def test_nothing_is_built_before_the_handshake_is_over(talk: Conversation) -> None:
    talk.outer.dataReceived(talk.start())
    last_flight = talk.answer()
    talk.outer.dataReceived(last_flight[:-1])
    assert talk.built == []
    talk.outer.dataReceived(last_flight[-1:])
    assert [name for name, _ in talk.built] == ["prod.example.com"]


def test_without_a_server_name_it_is_none() -> None:
    talk = Conversation(None)
    talk.connect()
    assert [name for name, _ in talk.built] == [None]


def test_bytes_that_come_with_the_end_of_the_handshake_reach_the_inner_protocol(talk: Conversation) -> None:
    talk.outer.dataReceived(talk.start())
    talk.outer.dataReceived(talk.answer(b"GET / HTTP/1.1"))
    assert talk.inner.received == b"GET / HTTP/1.1"


def test_what_is_written_in_connection_made_is_sent(talk: Conversation) -> None:
    talk.on_made = lambda: talk.inner.transport.write(b"first")
    talk.connect()
    assert talk.read() == b"first"


def test_a_connection_ended_in_connection_made_delivers_nothing(talk: Conversation) -> None:
    talk.on_made = lambda: talk.inner.transport.abortConnection()
    talk.outer.dataReceived(talk.start())
    talk.outer.dataReceived(talk.answer(b"GET"))
    assert talk.wire.aborted
    assert talk.inner.received == b""


def test_the_transport_is_one(talk: Conversation) -> None:
    transport = talk.connect().transport
    assert transport.getPeer() == PEER
    transport.write(b"a")
    transport.writeSequence([b"b", b"c"])
    transport.write(b"")
    assert talk.read() == b"a"
    assert talk.client.read() == b"bc"
    for interface in (ITransport, IConsumer, IPushProducer):
        assert all(hasattr(transport, name) for name in interface)


class TestHandshakeTimeout:
    def test_silence_is_reset(self, talk: Conversation) -> None:
        talk.clock.advance(TIMEOUT - 0.01)
        assert not talk.wire.aborted
        talk.clock.advance(0.02)
        assert talk.wire.aborted

    def test_a_trickle_does_not_help(self, talk: Conversation) -> None:
        for byte in talk.start()[:11]:
            talk.outer.dataReceived(bytes([byte]))
            talk.clock.advance(1)
        assert talk.wire.aborted

    def test_it_ends_with_the_handshake(self, talk: Conversation) -> None:
        talk.connect()
        assert talk.clock.getDelayedCalls() == []

    def test_it_ends_with_the_connection(self, talk: Conversation) -> None:
        talk.outer.dataReceived(talk.start())
        talk.cut()
        assert talk.clock.getDelayedCalls() == []

    def test_an_aborted_handshake_builds_nothing(self, talk: Conversation) -> None:
        talk.clock.advance(TIMEOUT)
        talk.cut()
        assert talk.built == []


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x00\x05hello"])
def test_a_failed_handshake_is_quiet(talk: Conversation, sent: bytes, log_levels: list[LogLevel]) -> None:
    """Scanners and the health checks of load balancers are nobody's error."""
    if sent:
        talk.outer.dataReceived(sent)
    talk.cut()
    assert log_levels == [LogLevel.debug]
    assert talk.built == []


class TestTheEnd:
    def test_close_notify_is_connection_done(self, talk: Conversation) -> None:
        inner = talk.connect()
        talk.send_close_notify()
        assert talk.wire.disconnecting
        talk.cut()
        assert inner.lost == [ConnectionDone]

    def test_a_fin_without_close_notify_is_connection_lost(self, talk: Conversation) -> None:
        """It may be an attacker who cut the stream."""
        inner = talk.connect()
        talk.cut(ConnectionDone())
        assert inner.lost == [ConnectionLost]

    def test_a_garbled_record_ends_it(self, talk: Conversation) -> None:
        inner = talk.connect()
        talk.outer.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert talk.wire.disconnecting
        assert inner.lost == []
        talk.cut()
        assert len(inner.lost) == 1

    def test_lose_connection_sends_all_and_close_notify(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.write(b"last words")
        inner.transport.loseConnection()
        assert talk.read() == b"last words"
        assert talk.client.read() == b""  # close_notify; a mere pause would be SSLWantReadError
        assert not talk.wire.disconnecting
        talk.send_close_notify()
        assert talk.wire.disconnecting

    def test_lose_connection_waits_for_the_peer_for_a_bounded_time(self, talk: Conversation) -> None:
        talk.connect().transport.loseConnection()
        talk.clock.advance(CLOSE_WITHIN - 0.1)
        assert not talk.wire.disconnecting
        talk.clock.advance(0.2)
        assert talk.wire.disconnecting
        assert not talk.wire.aborted

    def test_a_peer_that_takes_nothing_is_reset(self, talk: Conversation) -> None:
        talk.connect().transport.loseConnection()
        talk.clock.pump([CLOSE_WITHIN, ABORT_WITHIN - CLOSE_WITHIN])
        assert talk.wire.aborted
        talk.cut()
        assert talk.clock.getDelayedCalls() == []

    def test_a_registered_producer_may_finish_first(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.registerProducer(Producer(), True)
        inner.transport.loseConnection()
        assert talk.clock.getDelayedCalls() == []
        inner.transport.write(b"the rest")
        assert talk.read() == b"the rest"
        inner.transport.unregisterProducer()
        talk.clock.advance(CLOSE_WITHIN)
        assert talk.wire.disconnecting

    def test_the_timers_end_with_the_connection(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.loseConnection()
        inner.transport.loseConnection()
        talk.cut()
        assert talk.clock.getDelayedCalls() == []
        inner.transport.loseConnection()
        inner.transport.abortConnection()
        inner.transport.write(b"late")
        assert len(inner.lost) == 1

    def test_a_producer_that_comes_too_late_is_stopped(self, talk: Conversation) -> None:
        inner = talk.connect()
        talk.cut()
        producer = Producer()
        inner.transport.registerProducer(producer, True)
        assert producer.calls == ["stop"]

    def test_data_that_arrives_after_lose_connection_is_still_given(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.loseConnection()
        talk.send(b"on its way already")
        assert inner.received == b"on its way already"


class Producer:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class TestBackPressure:
    def test_the_wire_pauses_the_inner_producer(self, talk: Conversation) -> None:
        inner = talk.connect()
        producer = Producer()
        inner.transport.registerProducer(producer, True)
        talk.wire.producer.pauseProducing()
        talk.wire.producer.resumeProducing()
        assert producer.calls == ["pause", "resume"]
        inner.transport.unregisterProducer()
        assert talk.wire.producer is None

    def test_pausing_the_transport_pauses_the_wire(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.pauseProducing()
        assert talk.wire.producerState == "paused"
        inner.transport.resumeProducing()
        assert talk.wire.producerState == "producing"
