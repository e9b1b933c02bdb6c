"""Our own transport, invariant by invariant (DESIGN §6). What both transports promise is in the other files here."""

from __future__ import annotations

import contextlib
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from OpenSSL import SSL
from tls.conversations import ROOMY, Inner, OnSocket
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from kubeoidcproxy.tls import transport as module

PIECE = bytes(range(256)) * 512  # 128 KiB


@pytest.fixture
def begin() -> Iterator[Callable[..., OnSocket]]:
    begun: list[OnSocket] = []

    def new(**options: int) -> OnSocket:
        begun.append(OnSocket(**options))
        return begun[-1]

    yield new
    for conversation in begun:
        conversation.end()


@pytest.fixture
def talk(begin: Callable[..., OnSocket]) -> OnSocket:
    return begin()


@pytest.fixture
def inner(talk: OnSocket) -> Inner:
    return talk.connect()


@pytest.fixture
def transport(inner: Inner) -> Any:
    return inner.transport


def everything(talk: OnSocket, total: int) -> bytes:
    """So many bytes, read by the client."""
    received = b""
    deadline = time.monotonic() + 20
    while len(received) < total:
        assert time.monotonic() < deadline, "nothing more comes"
        talk.take(wait=0)
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := talk.client.read(total):
                received += data
    return received


def once(transport: Any, name: str, outcome: Exception) -> None:
    """The next call of OpenSSL by that name ends so; after that it is as before."""
    connection = transport.getHandle()

    def fail(*args: object) -> None:
        delattr(connection, name)
        raise outcome

    setattr(connection, name, fail)


def test_it_is_a_tcp_transport_a_consumer_and_a_push_producer(transport: Any) -> None:
    for interface in (ITCPTransport, IConsumer, IPushProducer):
        assert verifyObject(interface, transport)
    assert transport.getHost().port == transport._socket.getsockname()[1]
    assert transport.getHandle().get_servername() == b"prod.example.com"
    assert transport.negotiatedProtocol is None


class TestReading:
    def test_128_kib_and_then_others_have_their_turn(self, begin: Callable[..., OnSocket]) -> None:
        talk = begin(kernel=ROOMY)
        inner = talk.connect()
        talk.put(talk.sealed(bytes(300_000)))
        while not inner.pieces:
            talk.reactor.turn()
        assert inner.pieces == [module.READ_AT_ONCE] == [131072]
        talk.reactor.settle()
        assert len(inner.received) == 300_000

    def test_records_that_come_together_are_given_together(self, talk: OnSocket, inner: Inner) -> None:
        talk.deliver(talk.sealed(b"a" * 700) + talk.sealed(b"b") + talk.sealed(b"c" * 20))
        assert inner.pieces == [721]

    def test_a_record_in_pieces_is_given_when_it_is_whole(self, talk: OnSocket, inner: Inner) -> None:
        record = talk.sealed(b"whole")
        for position in range(len(record) - 1):
            talk.deliver(record[position : position + 1])
        assert inner.pieces == []
        talk.deliver(record[-1:])
        assert inner.received == b"whole"

    def test_a_read_takes_a_whole_record(self) -> None:
        """Or the rest would stay with OpenSSL, while epoll is silent."""
        assert module.RECORD >= 16384

    def test_what_openssl_holds_back_is_read_without_epoll(
        self, talk: OnSocket, inner: Inner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "RECORD", 1000)
        monkeypatch.setattr(module, "READ_AT_ONCE", 2000)
        talk.send(bytes(5000))
        assert inner.pieces == [2000, 2000, 1000]

    def test_resuming_reads_what_openssl_holds_back(
        self, talk: OnSocket, inner: Inner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "RECORD", 1000)
        monkeypatch.setattr(module, "READ_AT_ONCE", 2000)
        inner.on_data = inner.transport.pauseProducing
        talk.send(bytes(5000))
        assert inner.pieces == [2000]
        inner.transport.resumeProducing()
        talk.reactor.settle()
        assert inner.pieces == [2000, 2000]

    def test_nothing_is_given_after_a_pause(self, talk: OnSocket, inner: Inner) -> None:
        inner.on_data = inner.transport.pauseProducing
        talk.send(b"first")
        talk.send(b"second")
        assert inner.received == b"first"
        inner.transport.resumeProducing()
        talk.reactor.settle()
        assert inner.received == b"firstsecond"

    def test_an_event_from_before_the_pause_loses_nothing(self, talk: OnSocket, inner: Inner) -> None:
        """One turn of the reactor may pause a connection whose own event comes next."""
        talk.put(talk.sealed(b"kept"))
        inner.transport.pauseProducing()
        inner.transport.doRead()
        assert inner.received == b""
        inner.transport.resumeProducing()
        talk.reactor.settle()
        assert inner.received == b"kept"

    def test_a_pause_in_connection_made_holds_what_came_with_the_handshake(self, talk: OnSocket) -> None:
        talk.on_made = lambda: talk.inner.transport.pauseProducing()
        talk.deliver(talk.start())
        talk.deliver(talk.answer(b"GET"))
        assert talk.inner.received == b""
        talk.inner.transport.resumeProducing()
        talk.reactor.settle()
        assert talk.inner.received == b"GET"

    @pytest.mark.parametrize("end", ["cut", "reset"])
    def test_while_paused_no_end_is_noticed(self, talk: OnSocket, inner: Inner, end: str) -> None:
        """Hence policy P17."""
        inner.transport.pauseProducing()
        getattr(talk, end)()
        assert inner.lost == []
        inner.transport.resumeProducing()
        talk.reactor.settle()
        assert inner.lost == [ConnectionLost]

    def test_a_read_that_owes_the_peer_an_answer_goes_on_when_there_is_room(self, talk: OnSocket, inner: Inner) -> None:
        """To a key update, for one."""
        once(inner.transport, "recv", SSL.WantWriteError())
        talk.put(talk.sealed(b"behind it"))
        inner.transport.doRead()
        assert inner.received == b""
        assert talk.reactor.writers == {inner.transport}
        inner.transport.doWrite()
        assert inner.received == b"behind it"
        assert talk.reactor.writers == set()


class Producer:
    """Obeys. When it may, it writes a piece a turn."""

    def __init__(self, consumer: Any, piece: bytes = PIECE) -> None:
        self.calls: list[str] = []
        self.written = 0
        self.paused = False
        self._consumer = consumer
        self._piece = piece

    def write(self) -> None:
        self.written += len(self._piece)
        self._consumer.write(self._piece)

    def pauseProducing(self) -> None:
        self.calls.append("pause")
        self.paused = True

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        self.paused = False

    def stopProducing(self) -> None:
        self.calls.append("stop")


class TestWriting:
    def test_it_is_sent_at_once(self, talk: OnSocket, transport: Any) -> None:
        transport.write(b"now")
        talk.plain.setblocking(True)
        assert talk.plain.recv(100)
        assert talk.reactor.writers == set()

    def test_nothing_is_no_record(self, talk: OnSocket, transport: Any) -> None:
        transport.write(b"")
        transport.writeSequence([])
        transport.writeSequence([b"", b"all", b"", b" of it"])
        assert talk.read() == b"all of it"

    def test_what_does_not_fit_is_sent_in_order(self, talk: OnSocket, transport: Any) -> None:
        """Once SSL_write wanted to write, the same bytes must be offered again, however many came behind them."""
        pieces = [bytes([n % 251]) * (n * 997 % 40_000) for n in range(200)]
        for piece in pieces:
            transport.write(piece)
        transport.writeSequence([b"and ", b"the end"])
        expected = b"".join(pieces) + b"and the end"
        assert everything(talk, len(expected)) == expected
        assert talk.reactor.writers == set()

    def test_bytes_one_by_one_behind_a_full_buffer(self, talk: OnSocket, transport: Any) -> None:
        transport.write(PIECE * 8)
        for value in range(100_000):
            transport.write(bytes([value % 256]))
        expected = PIECE * 8 + (bytes(range(256)) * 391)[:100_000]
        assert everything(talk, len(expected)) == expected

    def test_a_record_for_each_byte_written_alone(self, talk: OnSocket, transport: Any) -> None:
        for value in range(256):
            transport.write(bytes([value]))
        assert everything(talk, 256) == bytes(range(256))

    def test_a_producer_may_write_until_64_kib_wait(self, talk: OnSocket, transport: Any) -> None:
        producer = Producer(transport, bytes(1000))
        transport.registerProducer(producer, True)
        while not producer.paused:
            producer.write()
        assert producer.calls == ["pause"]
        assert 65536 < len(transport._waiting) <= 66536
        producer.write()
        assert producer.calls == ["pause"]
        everything(talk, producer.written)
        assert producer.calls == ["pause", "resume"]

    def test_a_peer_that_takes_nothing_costs_less_than_256_kib(self, talk: OnSocket, transport: Any) -> None:
        producer = Producer(transport)
        transport.registerProducer(producer, True)
        tracemalloc.start()
        try:
            while not producer.paused:
                producer.write()
                talk.reactor.settle()
            assert tracemalloc.get_traced_memory()[0] < 200 * 1024
        finally:
            tracemalloc.stop()

    def test_a_pull_producer_is_asked_for_each_piece(self, talk: OnSocket, transport: Any) -> None:
        class Pulled(Producer):
            def resumeProducing(self) -> None:
                self.write()
                if self.written == 5000:
                    transport.unregisterProducer()

        transport.registerProducer(Pulled(transport, bytes(1000)), False)
        assert len(everything(talk, 5000)) == 5000
        talk.reactor.settle()
        assert talk.reactor.writers == set()

    def test_a_send_that_wants_to_read_ends_the_connection(self, talk: OnSocket, inner: Inner) -> None:
        """There is no renegotiation, and so no send that could wait for the peer."""

        once(inner.transport, "send", SSL.WantReadError())
        inner.transport.write(b"?")
        assert inner.lost == []
        talk.reactor.settle()
        assert inner.lost == [ConnectionLost]


class TestTheEnd:
    def test_a_reset_is_connection_lost(self, talk: OnSocket, inner: Inner) -> None:
        talk.reset()
        assert inner.lost == [ConnectionLost]

    def test_an_error_may_say_nothing(self, talk: OnSocket, inner: Inner) -> None:
        once(inner.transport, "recv", SSL.Error([]))
        talk.send(b"?")
        assert inner.lost == [SSL.Error]

    def test_what_the_reactor_takes_for_a_clean_end_is_none(self, inner: Inner) -> None:
        inner.transport.readConnectionLost(Failure(ConnectionDone()))
        inner.transport.connectionLost(Failure(ConnectionDone()))
        assert inner.lost == [ConnectionLost]

    def test_data_before_close_notify_is_given_first(self, talk: OnSocket, inner: Inner) -> None:
        talk.deliver(talk.sealed(b"last words") + talk.goodbye())
        assert inner.received == b"last words"
        assert inner.lost == [ConnectionDone]

    def test_who_said_goodbye_and_takes_nothing_gets_no_close_notify(self, talk: OnSocket, inner: Inner) -> None:
        """It would tell the client that it has all."""
        inner.transport.write(PIECE * 8)
        talk.deliver(talk.goodbye())
        talk.advance(module.CLOSE_WITHIN)
        assert inner.lost == [ConnectionDone]
        talk.take()
        talk._incoming.write_eof()
        with pytest.raises(ssl.SSLError, match=r"EOF occurred|UNEXPECTED_EOF"):
            all(iter(lambda: talk.client.read(65536), b""))

    def test_in_closing_a_paused_transport_waits_for_the_peer_and_gives_nothing(
        self, talk: OnSocket, inner: Inner
    ) -> None:
        inner.transport.pauseProducing()
        inner.transport.loseConnection()
        talk.deliver(talk.sealed(b"unwanted") + talk.goodbye())
        assert inner.lost == [ConnectionDone]
        assert inner.received == b""

    def test_closing_in_the_middle_of_data_received(self, talk: OnSocket, inner: Inner) -> None:
        inner.on_data = inner.transport.loseConnection
        talk.deliver(talk.sealed(b"bye") + talk.goodbye())
        assert inner.lost == [ConnectionDone]

    def test_close_notify_waits_for_room(self, talk: OnSocket, inner: Inner) -> None:
        once(inner.transport, "shutdown", SSL.WantWriteError())
        inner.transport.loseConnection()
        assert talk.reactor.writers == {inner.transport}
        talk.reactor.settle()
        assert talk.read() == b""
        assert talk.reactor.writers == set()

    def test_close_notify_may_fail(self, talk: OnSocket, inner: Inner) -> None:
        once(inner.transport, "shutdown", SSL.Error([]))
        inner.transport.loseWriteConnection()
        assert inner.lost == []
        talk.reactor.settle()
        assert inner.lost == [ConnectionLost]

    def test_a_slow_line_gets_all_and_close_notify_but_no_more_patience(self, talk: OnSocket, inner: Inner) -> None:
        inner.transport.write(PIECE * 8)
        inner.transport.loseConnection()
        talk.advance(module.CLOSE_WITHIN + 1)
        assert inner.lost == []
        assert everything(talk, len(PIECE) * 8) == PIECE * 8
        assert talk.client.read() == b""
        assert inner.lost == [ConnectionLost]

    def test_a_peer_that_leaves_while_bytes_wait(self, talk: OnSocket, inner: Inner) -> None:
        inner.transport.pauseProducing()
        inner.transport.write(PIECE * 8)
        talk.reset()
        assert inner.lost == [ConnectionLost]

    def test_abort_is_heard_of_later_and_once(self, talk: OnSocket, inner: Inner) -> None:
        inner.transport.registerProducer(producer := Producer(inner.transport), True)
        inner.transport.abortConnection()
        inner.transport.abortConnection()
        inner.transport.loseConnection()
        inner.transport.write(b"late")
        assert inner.lost == []
        talk.reactor.settle()
        assert inner.lost == [ConnectionAborted]
        assert producer.calls == ["stop"]
        assert talk.aborted

    def test_after_an_abort_nothing_is_given(self, talk: OnSocket, inner: Inner) -> None:
        talk.put(talk.sealed(b"too late"))
        inner.transport.abortConnection()
        talk.reactor.settle()
        assert inner.received == b""

    def test_an_abort_in_data_received_is_an_abort(self, talk: OnSocket, inner: Inner) -> None:
        inner.on_data = inner.transport.abortConnection
        talk.deliver(talk.sealed(b"bye") + talk.goodbye())
        assert inner.lost == [ConnectionAborted]

    def test_a_failed_write_ends_the_connection_and_no_other(
        self, talk: OnSocket, inner: Inner, begin: Callable[..., OnSocket]
    ) -> None:
        """OpenSSL has one queue of errors for all connections of a thread."""
        other = begin()
        neighbour = other.connect()
        talk.plain.close()
        while inner.transport._writable:
            inner.transport.write(b"anybody?")
        other.send(b"still here")
        assert inner.lost == []
        assert (neighbour.received, neighbour.lost) == (b"still here", [])
        talk.reactor.settle()
        assert inner.lost == [ConnectionLost]

    def test_a_paused_transport_that_cannot_write_ends(self, talk: OnSocket, inner: Inner) -> None:
        inner.transport.pauseProducing()
        talk.reset()
        inner.transport.write(b"anybody?")
        assert inner.lost == []
        talk.reactor.settle()
        assert inner.lost == [ConnectionLost]

    def test_a_lost_transport_keeps_still(self, talk: OnSocket, inner: Inner) -> None:
        talk.reset()
        transport: Any = inner.transport
        for name in ("pauseProducing", "resumeProducing", "stopProducing", "unregisterProducer", "loseConnection"):
            getattr(transport, name)()
        transport.abortConnection()
        transport.write(b"late")
        assert transport.getPeer() == talk.peer
        talk.reactor.settle()
        assert (inner.lost, talk.reactor.readers, talk.reactor.writers) == ([ConnectionLost], set(), set())
        assert talk.reactor.getDelayedCalls() == []


class TestTheHandshake:
    @pytest.mark.parametrize("end", ["cut", "reset"])
    @pytest.mark.parametrize("sent", [0, 1, 5, 6, 100, None])
    def test_an_end_in_the_middle_leaves_nothing(self, talk: OnSocket, sent: int | None, end: str) -> None:
        if sent != 0:
            talk.deliver(talk.start()[:sent])
        getattr(talk, end)()
        assert talk.built == []
        assert talk.reactor.readers == talk.reactor.writers == set()
        assert talk.reactor.getDelayedCalls() == []

    def test_a_flight_that_does_not_fit_is_finished_later(self, talk: OnSocket) -> None:
        (transport,) = talk.reactor.readers
        once(transport, "do_handshake", SSL.WantWriteError())
        talk.put(talk.start())
        transport.doRead()
        assert talk.reactor.writers == {transport}
        transport.doWrite()
        assert talk.reactor.writers == set()
        talk.deliver(talk.answer())
        assert talk.inner.transport is transport

    def test_an_error_of_our_own_ends_it(self, talk: OnSocket) -> None:
        (transport,) = talk.reactor.readers
        once(transport, "do_handshake", LookupError())
        talk.deliver(talk.start())
        assert talk.built == []
        assert talk.closed
