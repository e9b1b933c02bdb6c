"""Requests that wait for one fetch of keys."""

from __future__ import annotations

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from kubeoidcproxy.auth.refusals import keys_unavailable

MOST_HELD = 1000  # at one time; each holds its connection's buffers


class WaitingRoom:
    """Everybody in it is let out at once, or leaves when his time is up."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: set[Deferred[None]] = set()

    async def wait(self, seconds: float) -> None:
        """Wait for :meth:`release`; Rejection(503) after so many seconds, or at once where too many wait already."""
        if len(self._waiting) >= MOST_HELD:
            raise keys_unavailable("too many requests wait for keys")
        waiter: Deferred[None] = Deferred(self._waiting.discard)
        self._waiting.add(waiter)
        try:
            await waiter.addTimeout(max(seconds, 0.0), self._clock)
        except TimeoutError:
            raise keys_unavailable("the issuer does not answer in time") from None

    def release(self) -> None:
        """Let everybody out who is in now."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            waiter.callback(None)
