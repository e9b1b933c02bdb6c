"""What all client connections of a process share: the gate, the observers, the limits, one sweep for all deadlines."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from itertools import count

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from kubeoidcproxy.config.limits import Limits
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.interfaces import ExchangeObserver, Gate
from kubeoidcproxy.relay.protocol import ClientProtocol
from kubeoidcproxy.relay.registry import Registry

# Seconds. A timer for each deadline costs 1.1 us with its cancel, on every request; a walk over all connections once
# a second costs a request nothing and no deadline of ours is finer.
SWEEP = 1.0

# Seconds that a client which has just connected gets, when we are stopping, to say what it came for. It would not try
# again: Go's net/http retries only what it sent on a connection that had served before.
LAST_ARRIVALS = 1.0


class Switchboard(Service):
    """All client connections, from the first to the drained last.

    :param clock: for deadlines.
    :param gate: decides about each request; may be exchanged while running (reload).
    :param observers: are told of every request.
    :param wall: seconds since the epoch, for what is written down.
    :param accepted: how many clients there are, those whose handshake is not over included.
    """

    log = Logger()

    def __init__(
        self,
        *,
        clock: IReactorTime,
        gate: Gate,
        observers: Sequence[ExchangeObserver],
        limits: Limits,
        wall: Callable[[], float] = time.time,
        accepted: Callable[[], int] = lambda: 0,
    ) -> None:
        self.gate = gate
        self.observers = tuple(observers)
        self.limits = limits
        self.registry = Registry()
        self.connections: set[ClientProtocol] = set()
        self.monotonic: Callable[[], float] = clock.seconds
        self.draining = False
        self.spares_new = True  # when draining: whoever has not asked for anything yet may still do so, once
        self._clock = clock
        self._wall = wall
        self._accepted = accepted
        self._drained: Deferred[None] | None = None
        self._prefix = secrets.token_hex(8)  # 64 bits: one daemon of many, one start of many
        self._numbers = count(1)
        self._sweeping = LoopingCall(self.sweep)
        self._sweeping.clock = clock

    def build(self, server_name: str | None) -> ClientProtocol:
        """The protocol for one connection whose handshake is over."""
        return ClientProtocol(server_name, self)

    def new_exchange(self, source: str) -> Exchange:
        """The record of a request that was read just now. Its id is unique among all daemons and starts."""
        audit_id = f"{self._prefix}-{next(self._numbers)}"  # uuid4 would cost 2.6 us
        return Exchange(audit_id, source, self._wall(), self.monotonic())

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._sweeping.start(SWEEP, now=False).addErrback(lambda failure: self.log.failure("sweeping", failure))

    def stopService(self) -> Deferred[None]:
        """Drain: nothing new; fires when the last connection is gone, or drainTimeout has passed."""
        super().stopService()  # type: ignore[no-untyped-call]
        self.draining = True
        self._drained = Deferred()
        patience = self.limits.drain_timeout
        timers = (
            self._clock.callLater(patience, self.give_up),
            self._clock.callLater(min(LAST_ARRIVALS, patience / 4), self._drain_new),
        )
        self._drain_all()
        return self._drained.addCallback(lambda _: self._stop_timers(timers))

    def sweep(self) -> None:
        """Expire what is overdue."""
        now = self.monotonic()
        for connection in [c for c in self.connections if c.deadline <= now]:
            connection.expire()
        self._look_if_drained()

    def give_up(self) -> None:
        """Drained or not: end what is left now."""
        for connection in tuple(self.connections):
            connection.cut("drain timeout")
        if self._drained is not None and not self._drained.called:
            self._drained.callback(None)

    def _drain_new(self) -> None:
        self.spares_new = False
        self._drain_all()

    def _drain_all(self) -> None:
        for connection in tuple(self.connections):
            connection.drain()
        self._look_if_drained()

    def _look_if_drained(self) -> None:
        if self._drained is None or self._drained.called or self.connections:
            return
        if not (self.spares_new and self._accepted()):
            self._drained.callback(None)

    def _stop_timers(self, timers: Sequence[IDelayedCall]) -> None:
        for timer in timers:
            if timer.active():
                timer.cancel()
        if self._sweeping.running:
            self._sweeping.stop()
