"""A client's handshake, step by step: nothing inside before it is over, and it is over in bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tls.conversations import KINDS, TIMEOUT, Conversation, InMemory
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.logger import LogLevel, globalLogPublisher

from kubeoidcproxy.tls.transport import ABORT_WITHIN, CLOSE_WITHIN

Begin = Callable[..., Conversation]


@pytest.fixture
def begin(implementation: str) -> Iterator[Begin]:
    begun: list[Conversation] = []

    def new(name: str | None = "prod.example.com") -> Conversation:
        begun.append(KINDS[implementation](name))
        return begun[-1]

    yield new
    for conversation in begun:
        conversation.end()


@pytest.fixture
def talk(begin: Begin) -> Conversation:
    return begin()


@pytest.fixture
def log_levels() -> Iterator[list[LogLevel]]:
    levels: list[LogLevel] = []

    def observe(event: dict[str, LogLevel]) -> None:
        levels.append(event["log_level"])

    globalLogPublisher.addObserver(observe)
    yield levels
    globalLogPublisher.removeObserver(observe)


def test_nothing_is_built_before_the_handshake_is_over(talk: Conversation) -> None:
    talk.deliver(talk.start())
    last_flight = talk.answer()
    talk.deliver(last_flight[:-1])
    assert talk.built == []
    talk.deliver(last_flight[-1:])
    assert [name for name, _ in talk.built] == ["prod.example.com"]


def test_without_a_server_name_it_is_none(begin: Begin) -> None:
    talk = begin(None)
    talk.connect()
    assert [name for name, _ in talk.built] == [None]


def test_bytes_that_come_with_the_end_of_the_handshake_reach_the_inner_protocol(talk: Conversation) -> None:
    talk.deliver(talk.start())
    talk.deliver(talk.answer(b"GET / HTTP/1.1"))
    assert talk.inner.received == b"GET / HTTP/1.1"


def test_what_is_written_in_connection_made_is_sent(talk: Conversation) -> None:
    talk.on_made = lambda: talk.inner.transport.write(b"first")
    talk.connect()
    assert talk.read() == b"first"


def test_a_connection_ended_in_connection_made_delivers_nothing(talk: Conversation) -> None:
    talk.on_made = lambda: talk.inner.transport.abortConnection()
    talk.deliver(talk.start())
    talk.deliver(talk.answer(b"GET"))
    assert talk.aborted
    assert talk.inner.received == b""


def test_the_transport_is_one(talk: Conversation) -> None:
    transport = talk.connect().transport
    assert transport.getPeer() == talk.peer
    transport.write(b"a")
    transport.writeSequence([b"b", b"c"])
    transport.write(b"")
    assert talk.read() == b"a"
    assert talk.client.read() == b"bc"
    for interface in (ITransport, IConsumer, IPushProducer):
        assert all(hasattr(transport, name) for name in interface)


class TestHandshakeTimeout:
    def test_silence_is_reset(self, talk: Conversation) -> None:
        talk.advance(TIMEOUT - 0.01)
        assert not talk.aborted
        talk.advance(0.02)
        assert talk.aborted

    def test_a_trickle_does_not_help(self, talk: Conversation) -> None:
        for byte in talk.start()[:10]:
            talk.deliver(bytes([byte]))
            talk.advance(1)
        assert talk.aborted

    def test_it_ends_with_the_handshake(self, talk: Conversation) -> None:
        talk.connect()
        assert talk.clock.getDelayedCalls() == []

    def test_it_ends_with_the_connection(self, talk: Conversation) -> None:
        talk.deliver(talk.start())
        talk.cut()
        assert talk.clock.getDelayedCalls() == []

    def test_an_aborted_handshake_builds_nothing(self, talk: Conversation) -> None:
        talk.advance(TIMEOUT)
        talk.cut()
        assert talk.built == []


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x00\x05hello"])
def test_a_failed_handshake_is_quiet(talk: Conversation, sent: bytes, log_levels: list[LogLevel]) -> None:
    """Scanners and the health checks of load balancers are nobody's error."""
    if sent:
        talk.deliver(sent)
    talk.cut()
    assert log_levels == [LogLevel.debug]
    assert talk.built == []


class TestTheEnd:
    def test_close_notify_is_connection_done(self, talk: Conversation) -> None:
        inner = talk.connect()
        talk.deliver(talk.goodbye())
        assert talk.closed
        talk.cut()
        assert inner.lost == [ConnectionDone]

    def test_a_fin_without_close_notify_is_connection_lost(self, talk: Conversation) -> None:
        """It may be an attacker who cut the stream."""
        inner = talk.connect()
        talk.cut()
        assert inner.lost == [ConnectionLost]

    def test_a_garbled_record_ends_it(self, talk: Conversation) -> None:
        inner = talk.connect()
        talk.deliver(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert talk.closed
        talk.cut()
        assert len(inner.lost) == 1

    def test_lose_connection_sends_all_and_close_notify(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.write(b"last words")
        inner.transport.loseConnection()
        assert talk.read() == b"last words"
        assert talk.client.read() == b""  # close_notify; a mere pause would be SSLWantReadError
        assert not talk.closed
        talk.deliver(talk.goodbye())
        assert talk.closed

    def test_lose_connection_waits_for_the_peer_for_a_bounded_time(self, talk: Conversation) -> None:
        talk.connect().transport.loseConnection()
        talk.advance(CLOSE_WITHIN - 0.1)
        assert not talk.closed
        talk.advance(0.2)
        assert talk.closed
        assert not talk.aborted

    def test_a_peer_that_takes_nothing_is_reset(self, talk: Conversation) -> None:
        inner = talk.connect()
        inner.transport.write(bytes(2**20))
        inner.transport.loseConnection()
        talk.advance(CLOSE_WITHIN)
        assert inner.lost == []
        talk.advance(ABORT_WITHIN - CLOSE_WITHIN)
        assert talk.aborted
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
        talk.advance(CLOSE_WITHIN)
        assert talk.closed

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


class TestBackPressureOverTwistedsTLS:
    """What our own transport does here is in test_transport.py."""

    def test_the_wire_pauses_the_inner_producer(self) -> None:
        talk = InMemory()
        inner = talk.connect()
        producer = Producer()
        inner.transport.registerProducer(producer, True)
        talk.wire.producer.pauseProducing()
        talk.wire.producer.resumeProducing()
        assert producer.calls == ["pause", "resume"]
        inner.transport.unregisterProducer()
        assert talk.wire.producer is None

    def test_pausing_the_transport_pauses_the_wire(self) -> None:
        talk = InMemory()
        inner = talk.connect()
        inner.transport.pauseProducing()
        assert talk.wire.producerState == "paused"
        inner.transport.resumeProducing()
        assert talk.wire.producerState == "producing"
