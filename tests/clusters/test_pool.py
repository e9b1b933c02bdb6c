"""Upstream connections, kept and given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from kubeoidcproxy.clusters.pool import IDLE, Pool, PooledConnection


class Transport(StringTransportWithDisconnection):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.connected = False
        self.protocol.connectionLost(Failure(ConnectionLost()))


class User:
    """Records what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def upstream_sent(self, data: bytes) -> None:
        self.heard.append(data)

    def upstream_left(self, *, clean: bool) -> None:
        self.heard.append(("left", clean))

    def upstream_full(self) -> None:
        self.heard.append("full")

    def upstream_drained(self) -> None:
        self.heard.append("drained")


class Upstreams:
    """A pool over transports in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.made: list[PooledConnection] = []
        self.pool = Pool(self.connect, self.clock.seconds)

    def connect(self, build: Callable[[], PooledConnection]) -> Deferred[PooledConnection]:
        connection = build()
        transport = Transport()
        transport.protocol = connection
        connection.makeConnection(transport)
        self.made.append(connection)
        made: Deferred[PooledConnection] = Deferred()
        made.callback(connection)
        return made

    def acquire(self, *, fresh: bool = False) -> PooledConnection:
        found = self.pool.acquire(fresh=fresh)
        return found.result if isinstance(found, Deferred) else found  # type: ignore[return-value]


@pytest.fixture
def upstreams() -> Upstreams:
    return Upstreams()


def test_a_released_connection_serves_again(upstreams: Upstreams) -> None:
    first = upstreams.acquire()
    assert not first.reused
    first.attach(User())
    first.release()
    assert upstreams.acquire() is first
    assert first.reused
    assert upstreams.acquire() is not first


def test_a_fresh_one_is_asked_for_and_made(upstreams: Upstreams) -> None:
    upstreams.acquire().release()
    assert upstreams.acquire(fresh=True) is upstreams.made[1]
    assert upstreams.pool.idle == 1


def test_what_is_said_on_an_idle_connection_ends_it(upstreams: Upstreams) -> None:
    """Response queue poisoning."""
    connection = upstreams.acquire()
    connection.release()
    connection.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
    assert connection.transport.aborted  # type: ignore[union-attr]
    assert (upstreams.pool.idle, upstreams.pool.open) == (0, 0)


def test_an_idle_connection_that_closes_is_forgotten(upstreams: Upstreams) -> None:
    connection = upstreams.acquire()
    connection.release()
    connection.connectionLost(Failure(ConnectionDone()))
    assert (upstreams.pool.idle, upstreams.pool.open) == (0, 0)


@pytest.mark.parametrize(("reason", "clean"), [(ConnectionDone(), True), (ConnectionLost(), False)])
def test_its_user_hears_how_it_ended(upstreams: Upstreams, reason: Exception, clean: bool) -> None:
    connection, user = upstreams.acquire(), User()
    connection.attach(user)
    connection.dataReceived(b"x")
    connection.connectionLost(Failure(reason))
    assert user.heard == [b"x", ("left", clean)]


def test_its_user_hears_of_its_send_buffer(upstreams: Upstreams) -> None:
    connection, user = upstreams.acquire(), User()
    connection.attach(user)
    connection.pauseProducing()
    connection.resumeProducing()
    assert user.heard == ["full", "drained"]


def test_hold_stops_reading_and_a_release_reads_on(upstreams: Upstreams) -> None:
    connection = upstreams.acquire()
    connection.hold()
    assert connection.transport.producerState == "paused"  # type: ignore[union-attr]
    connection.release()
    assert connection.transport.producerState == "producing"  # type: ignore[union-attr]


def test_an_aborted_connection_tells_nobody(upstreams: Upstreams) -> None:
    connection, user = upstreams.acquire(), User()
    connection.attach(user)
    connection.abort()
    assert user.heard == []
    assert upstreams.pool.open == 0


def test_idle_connections_are_dropped_in_time(upstreams: Upstreams) -> None:
    old, young = upstreams.acquire(), upstreams.acquire()
    old.release()
    upstreams.clock.advance(IDLE / 2)
    young.release()
    upstreams.clock.advance(IDLE / 2)
    upstreams.pool.sweep()
    assert (upstreams.pool.idle, upstreams.pool.open) == (1, 1)
    assert upstreams.acquire() is young


def test_a_retired_pool_keeps_nothing(upstreams: Upstreams) -> None:
    idle, busy = upstreams.acquire(), upstreams.acquire()
    idle.release()
    upstreams.pool.retire()
    assert upstreams.pool.open == 1
    busy.release()
    assert upstreams.pool.open == 0
