"""The shell of a client connection: hears Twisted, tells the machine, does what the machine asks.

It holds no HTTP. Each side is the push producer of the *other* side's transport, registered once and not per exchange:
when a send buffer is full, Twisted pauses us, and we stop reading where the bytes come from.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import Exchange, plain_address
from kubeoidcproxy.interfaces import Passage, UpstreamConnection
from kubeoidcproxy.relay import actions as act
from kubeoidcproxy.relay.connection import Actions, ClientConnection, State
from kubeoidcproxy.relay.tunnel import Tunnel

if TYPE_CHECKING:
    from kubeoidcproxy.relay.switchboard import Switchboard

NEVER = math.inf
BODY_IDLE = 60.0  # seconds, P16
LINGER = 60.0  # seconds; transports bound their own end, earlier, and without taking from a slow client its last bytes

_BY_MACHINE, _BY_UPSTREAM = 1, 2  # who holds the client


class Wait(IntEnum):
    """What a deadline is for."""

    NOTHING = 0
    NEXT_REQUEST = 1
    HEAD = 2
    BODY = 3
    ANSWER = 4
    CLOSE = 5


@implementer(IPushProducer)
class ClientProtocol(Protocol):
    """One client connection.

    :param server_name: what the client called us in its TLS hello, or None.
    :param board: what all connections of this process share.
    """

    transport: ITCPTransport | None

    def __init__(self, server_name: str | None, board: Switchboard) -> None:
        self.deadline = NEVER
        self._server_name = server_name
        self._board = board
        self._machine = ClientConnection(self._new_exchange, board.limits.max_head_size)
        self._wait = Wait.NOTHING
        self._source = ""
        self._new = True  # no request has come yet
        self._held_by = 0
        self._client_full = False
        self._passage: Passage | None = None
        self._upstream: UpstreamConnection | None = None
        self._connecting: Deferred[UpstreamConnection] | None = None
        self._tunnel: Tunnel | None = None

    # What Twisted says.

    def connectionMade(self) -> None:
        transport = self._transport
        self._source = plain_address(getattr(transport.getPeer(), "host", ""))
        transport.registerProducer(self, True)
        self._board.connections.add(self)
        if self._board.draining:
            self.drain()
        self._settle()

    def dataReceived(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.client_sent(data)
            return
        self._perform(self._machine.client_sent(data))
        self._settle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._board.connections.discard(self)
        self._perform(self._machine.client_left())
        self.deadline = NEVER

    def pauseProducing(self) -> None:
        """The client takes no more: read no more from upstream."""
        self._client_full = True
        if self._upstream is not None:
            self._upstream.hold()

    def resumeProducing(self) -> None:
        self._client_full = False
        if self._upstream is not None:
            self._upstream.read()

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost says so, too."""

    # What the upstream connection says.

    def upstream_sent(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.upstream_sent(data)
            return
        self._perform(self._machine.upstream_sent(data))
        self._settle()

    def upstream_left(self, *, clean: bool) -> None:
        self._forget_upstream()
        self._perform(self._machine.upstream_left(clean=clean))
        self._settle()

    def upstream_full(self) -> None:
        self._hold(_BY_UPSTREAM)
        self._settle()

    def upstream_drained(self) -> None:
        self._read(_BY_UPSTREAM)
        self._settle()

    # What the switchboard says.

    def expire(self) -> None:
        """The deadline has passed."""
        if self._wait is Wait.CLOSE:
            self._transport.abortConnection()
            return
        exchange = self._machine.exchange
        if self._wait in (Wait.ANSWER, Wait.BODY) and exchange is not None and exchange.long_running:
            self.deadline = NEVER  # judged only now: most requests never get here
            return
        self._wait = Wait.NOTHING
        self._perform(self._machine.timed_out())
        self._settle()

    def drain(self) -> None:
        """Finish what is in flight, begin nothing new; but one request of a client that has just come."""
        if self._new and self._board.spares_new:
            return
        self._perform(self._machine.drain())
        self._settle()

    def cut(self, detail: str) -> None:
        """End now."""
        self._perform(self._machine.cut(detail))
        self._settle()

    # What the machine asks.

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            _PERFORM[type(action)](self, action)

    def _decide(self, action: act.Decide) -> None:
        self._new = False
        if self._board.draining:
            self._machine.drain()  # the answer says so
        try:
            way = self._board.gate.decide(action.head, self._server_name, action.exchange)
        except Exception:
            self._not_decided(Failure())
            return
        if isinstance(way, Passage):
            self._pass(way)
        else:
            decided = Deferred.fromCoroutine(_wait_for(way))
            decided.addCallback(self._pass).addErrback(self._not_decided).addCallback(lambda _: self._settle())

    def _pass(self, passage: Passage) -> None:
        self._passage = passage
        exchange = self._machine.exchange
        if exchange is not None:
            self._board.registry.add(exchange, self.cut)
        self._perform(self._machine.admitted(passage.head))

    def _not_decided(self, failure: Failure) -> None:
        self._perform(self._machine.refused(_rejection(failure, "deciding about a request")))

    def _open_upstream(self, action: act.OpenUpstream) -> None:
        if self._passage is None:
            return
        try:
            found = self._passage.upstreams.acquire(fresh=action.fresh)
        except Exception:
            self._not_opened(Failure())
            return
        if not isinstance(found, Deferred):
            self._opened(found)  # type: ignore[arg-type]
            return
        self._connecting = found
        found.addCallback(self._opened).addErrback(self._not_opened).addCallback(lambda _: self._settle())

    def _opened(self, upstream: UpstreamConnection) -> None:
        self._connecting = None
        self._upstream = upstream
        upstream.attach(self)
        if self._client_full:
            upstream.hold()
        self._perform(self._machine.upstream_opened(reused=upstream.reused))

    def _not_opened(self, failure: Failure) -> None:
        self._connecting = None
        if not failure.check(CancelledError):
            self._perform(self._machine.upstream_failed(_rejection(failure, "connecting upstream")))

    def _send_upstream(self, action: act.SendUpstream) -> None:
        if self._upstream is not None:
            self._upstream.write(action.data)

    def _send_client(self, action: act.SendClient) -> None:
        self._transport.write(action.data)

    def _release_upstream(self, action: act.ReleaseUpstream) -> None:
        upstream = self._forget_upstream()
        if upstream is not None:
            upstream.release()

    def _abort_upstream(self, action: act.AbortUpstream) -> None:
        upstream = self._forget_upstream()
        if upstream is not None:
            upstream.abort()
        if self._connecting is not None:
            self._connecting.cancel()

    def _close_upstream(self, action: act.CloseUpstream) -> None:
        upstream = self._forget_upstream()
        if upstream is not None:
            upstream.close()

    def _start_tunnel(self, action: act.StartTunnel) -> None:
        if self._upstream is not None and self._machine.exchange is not None:
            self._tunnel = Tunnel(self._machine.exchange, self._transport.write, self._upstream.write)

    def _hold_client(self, action: act.HoldClient) -> None:
        self._hold(_BY_MACHINE)

    def _read_client(self, action: act.ReadClient) -> None:
        self._read(_BY_MACHINE)

    def _close_client(self, action: act.CloseClient) -> None:
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    def _abort_client(self, action: act.AbortClient) -> None:
        self._transport.abortConnection()

    def _answered(self, action: act.Answered) -> None:
        for observer in self._board.observers:
            observer.answered(action.exchange)

    def _ended(self, action: act.Ended) -> None:
        exchange = action.exchange
        exchange.ended_at = self._board.monotonic()
        self._passage = None
        self._wait, self.deadline = Wait.NOTHING, NEVER  # the same may be awaited next, but has its own time
        self._board.registry.remove(exchange)
        for observer in self._board.observers:
            observer.ended(exchange)

    # The rest.

    @property
    def _transport(self) -> Any:
        return self.transport

    def _new_exchange(self) -> Exchange:
        return self._board.new_exchange(self._source)

    def _forget_upstream(self) -> UpstreamConnection | None:
        """It is not ours any more, and holds nobody."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self._tunnel = None
            self._read(_BY_UPSTREAM)
        return upstream

    def _hold(self, who: int) -> None:
        if not self._held_by:
            self._transport.pauseProducing()
        self._held_by |= who

    def _read(self, who: int) -> None:
        if self._held_by and not self._held_by & ~who and self._machine.state is not State.CLOSED:
            self._transport.resumeProducing()
        self._held_by &= ~who

    def _settle(self) -> None:
        """Set the deadline for what is awaited now."""
        wait = self._awaited()
        if wait is self._wait and wait is not Wait.BODY:
            return
        self._wait = wait
        self.deadline = NEVER if wait is Wait.NOTHING else self._board.monotonic() + self._patience(wait)

    def _awaited(self) -> Wait:
        machine = self._machine
        state = machine.state
        if state is State.RELAYING:
            if machine.answer_awaited:
                return Wait.ANSWER
            return Wait.BODY if machine.body_awaited and not self._held_by else Wait.NOTHING
        if state is State.AWAITING_HEAD:
            return Wait.HEAD if machine.head_begun else Wait.NEXT_REQUEST
        return Wait.CLOSE if state is State.CLOSED else Wait.NOTHING

    def _patience(self, wait: Wait) -> float:
        limits = self._board.limits
        if wait is Wait.ANSWER:
            return self._passage.response_timeout if self._passage is not None else NEVER
        if wait is Wait.NEXT_REQUEST:
            return limits.idle_timeout
        if wait is Wait.HEAD:
            return limits.head_timeout
        return BODY_IDLE if wait is Wait.BODY else LINGER


_PERFORM: dict[type, Callable[[ClientProtocol, Any], None]] = {
    act.Decide: ClientProtocol._decide,
    act.OpenUpstream: ClientProtocol._open_upstream,
    act.SendUpstream: ClientProtocol._send_upstream,
    act.SendClient: ClientProtocol._send_client,
    act.ReleaseUpstream: ClientProtocol._release_upstream,
    act.AbortUpstream: ClientProtocol._abort_upstream,
    act.CloseUpstream: ClientProtocol._close_upstream,
    act.StartTunnel: ClientProtocol._start_tunnel,
    act.HoldClient: ClientProtocol._hold_client,
    act.ReadClient: ClientProtocol._read_client,
    act.CloseClient: ClientProtocol._close_client,
    act.AbortClient: ClientProtocol._abort_client,
    act.Answered: ClientProtocol._answered,
    act.Ended: ClientProtocol._ended,
}


async def _wait_for(way: Awaitable[Passage]) -> Passage:
    return await way


def _rejection(failure: Failure, while_doing: str) -> Rejection:
    """What the client is told of a failure; one that is no refusal is a bug of ours, and logged as one."""
    if isinstance(failure.value, Rejection):
        return failure.value
    _log.failure("unexpected failure while {doing}", failure, doing=while_doing)
    return Rejection(500, "internal error", detail=f"{type(failure.value).__name__} while {while_doing}")


_log = Logger()
