"""Connections to one API server, kept warm: the cheapest request is the one that needs no new connection.

Keyed by construction: one pool belongs to one cluster, one snapshot of its configuration and one credential identity.
A connection carries one exchange at a time and comes back only after a clean end; whatever is said on an idle one is
poison (response queue poisoning) and ends it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.interfaces import UpstreamUser

IDLE = 45.0  # seconds; below kube-apiserver's own IdleTimeout of 90 s, so that it rarely closes under a request
MAX_IDLE = 256


@implementer(IPushProducer)
class PooledConnection(Protocol):
    """One verified connection. It is its own transport's producer: full means that its user must write no more."""

    def __init__(self, pool: Pool) -> None:
        self.reused = False
        self.idle_since = 0.0
        self._pool = pool
        self._user: UpstreamUser | None = None
        self._held = False
        self._ending = False

    @property
    def _transport(self) -> Any:
        return self.transport

    # What its user asks (interfaces.UpstreamConnection).

    def attach(self, user: UpstreamUser) -> None:
        self._user = user

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def hold(self) -> None:
        if not self._held:
            self._held = True
            self._transport.pauseProducing()

    def read(self) -> None:
        if self._held:
            self._held = False
            self._transport.resumeProducing()

    def release(self) -> None:
        self._user = None
        self.read()
        self._pool.take_back(self)

    def abort(self) -> None:
        self._user = None
        self._pool.forget(self)
        self._transport.abortConnection()

    def close(self) -> None:
        self._user = None
        self.read()
        self._ending = True
        self._pool.forget(self)
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    # What Twisted says.

    def connectionMade(self) -> None:
        self._transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        if self._user is not None:
            self._user.upstream_sent(data)
        elif not self._ending:
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._pool.forget(self)
        user, self._user = self._user, None
        if user is not None:
            user.upstream_left(clean=bool(reason.check(ConnectionDone)))

    def pauseProducing(self) -> None:
        if self._user is not None:
            self._user.upstream_full()

    def resumeProducing(self) -> None:
        if self._user is not None:
            self._user.upstream_drained()

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost says so, too."""


class Pool:
    """The connections to one API server.

    :param connect: makes a new, verified one around the protocol that the given function builds; fails with Rejection.
    :param seconds: the clock.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[], PooledConnection]], Deferred[PooledConnection]],
        seconds: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._seconds = seconds
        self._idle: deque[PooledConnection] = deque()
        self._open: set[PooledConnection] = set()
        self._retired = False

    @property
    def idle(self) -> int:
        """Connections that wait for an exchange."""
        return len(self._idle)

    @property
    def open(self) -> int:
        """All connections."""
        return len(self._open)

    def acquire(self, *, fresh: bool) -> PooledConnection | Deferred[PooledConnection]:
        """The connection used last, for the others to grow old; else a new one."""
        if not fresh and self._idle:
            connection = self._idle.pop()
            connection.reused = True
            return connection
        return self._connect(self._build)

    def take_back(self, connection: PooledConnection) -> None:
        """An exchange ended cleanly on it."""
        if self._retired or connection not in self._open or len(self._idle) >= MAX_IDLE:
            connection.abort()
            return
        connection.idle_since = self._seconds()
        self._idle.append(connection)

    def forget(self, connection: PooledConnection) -> None:
        """It is gone, or about to be."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self) -> None:
        """Drop what was idle too long."""
        oldest = self._seconds() - IDLE
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle[0].close()

    def retire(self) -> None:
        """The cluster's configuration has moved on: idle ones go now, others when their exchange ends."""
        self._retired = True
        for connection in tuple(self._idle):
            connection.close()

    def _build(self) -> PooledConnection:
        connection = PooledConnection(self)
        self._open.add(connection)
        return connection
