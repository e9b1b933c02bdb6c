"""Records that no TLS library would send, or not so: key updates, padding, floods, renegotiation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL
from tls.conversations import OnSocket
from tls.records import ALERT, CLOSE_NOTIFY, RecordClient
from twisted.internet.error import ConnectionDone


@pytest.fixture
def talk() -> Iterator[OnSocket]:
    conversation = OnSocket()
    conversation.plain.settimeout(10)
    yield conversation
    conversation.end()


@pytest.fixture
def client(talk: OnSocket, tmp_path: Path) -> RecordClient:
    return RecordClient(talk.plain, tmp_path, talk.reactor.settle)


@pytest.mark.parametrize("answer", [False, True])
def test_key_updates_between_data(talk: OnSocket, client: RecordClient, answer: bool) -> None:
    """RFC 8446 §4.6.3: new keys, and our own in return if they are asked for."""
    client.send(client.data(b"old"), client.keys.key_update(answer=answer), client.data(b"new"))
    client.send(client.keys.key_update(answer=answer))
    client.send(client.data(b"newer"))
    assert talk.inner.received == b"oldnewnewer"
    talk.inner.transport.write(b"understood")
    assert client.read() == b"understood"


def test_a_key_update_that_cannot_be_answered_yet(talk: OnSocket, client: RecordClient) -> None:
    """Our answer waits for room, and the data that waits with it stays whole."""
    sent = bytes(range(256)) * 4096
    talk.inner.transport.write(sent)
    client.send(client.keys.key_update(answer=True), client.data(b"go on"))
    received = b""
    while len(received) < len(sent):
        received += client.read()
    assert received == sent
    talk.reactor.settle()
    assert talk.inner.received == b"go on"
    talk.inner.transport.write(b"understood")
    assert client.read() == b"understood"


def test_a_flood_of_key_updates_leaves_others_their_turn(talk: OnSocket, client: RecordClient) -> None:
    """Each turn of the reactor takes one; SSL_read by itself would go on for as long as any come."""
    talk.plain.sendall(b"".join(client.keys.key_update(answer=False) for _ in range(500)))
    (transport,) = talk.reactor.readers
    turns = 0
    while transport.has_unread():
        talk.reactor.turn()
        turns += 1
    assert turns >= 500
    client.send(client.data(b"at last"))
    assert talk.inner.received == b"at last"


def test_padding_is_no_data(talk: OnSocket, client: RecordClient) -> None:
    client.send(client.data(b"a", padding=1000), client.data(b"", padding=50), client.data(b"b"))
    assert talk.inner.received == b"ab"


def test_records_that_overlap_the_segments(talk: OnSocket, client: RecordClient) -> None:
    stream = b"".join(client.data(bytes([n]) * n) for n in range(1, 60))
    for position in range(0, len(stream), 97):
        client.send(stream[position : position + 97])
    assert talk.inner.received == b"".join(bytes([n]) * n for n in range(1, 60))


def test_empty_records_without_end_are_an_error(talk: OnSocket, client: RecordClient) -> None:
    client.send(*(client.data(b"") for _ in range(100)))
    assert talk.inner.lost == [SSL.Error]


def test_close_notify_behind_data(talk: OnSocket, client: RecordClient) -> None:
    client.send(client.data(b"all"), client.keys.seal(ALERT, CLOSE_NOTIFY), b"whatever comes behind it")
    assert talk.inner.received == b"all"
    assert talk.inner.lost == [ConnectionDone]
    assert client.read() == b""


def test_who_says_goodbye_first_gets_what_was_written_before(talk: OnSocket, client: RecordClient) -> None:
    """Go's CloseWrite is a close_notify; who calls that is still reading."""
    sent = bytes(range(256)) * 4096
    talk.inner.transport.write(sent)
    client.send(client.keys.seal(ALERT, CLOSE_NOTIFY))
    talk.inner.transport.resumeProducing()
    talk.reactor.settle()
    assert talk.inner.lost == []
    assert b"".join(iter(client.read, b"")) == sent
    assert talk.inner.lost == [ConnectionDone]


class TestRenegotiation:
    @pytest.fixture
    def tls_1_2(self, talk: OnSocket) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        talk.plain.setblocking(False)
        client = SSL.Connection(context, talk.plain)
        client.set_connect_state()
        _until_done(client.do_handshake, talk)
        return client

    def test_it_is_refused_and_the_connection_goes_on_for_the_peer_to_decide(
        self, talk: OnSocket, tls_1_2: SSL.Connection
    ) -> None:
        assert tls_1_2.renegotiate()
        with pytest.raises(SSL.Error, match="no renegotiation"):
            _until_done(tls_1_2.do_handshake, talk)
        assert talk.inner.lost == []

    def test_it_does_not_hold_up_data(self, talk: OnSocket, tls_1_2: SSL.Connection) -> None:
        tls_1_2.send(b"before")
        assert tls_1_2.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            tls_1_2.do_handshake()
        talk.reactor.settle()
        assert talk.inner.received == b"before"
        talk.inner.transport.write(b"still here")
        assert talk.inner.lost == []


def _until_done(step: Callable[[], None], talk: OnSocket) -> None:
    for _ in range(20):
        try:
            step()
        except SSL.WantReadError:
            talk.reactor.settle()
        else:
            return
    raise AssertionError("no end")
