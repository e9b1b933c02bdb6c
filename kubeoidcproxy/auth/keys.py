"""The keys of one issuer, kept fresh (law 6).

Keys at hand are used whatever the issuer does, until ``maxStale``; asked for again in the background, and once more
when a token names a ``kid`` that is not among them. That extra question is what a stranger can cause, so it is shared
by all who wait and asked once in ``minRefreshInterval``: go-oidc, and so kube-apiserver, asks for every bad token
(kubernetes issue 139769).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from kubeoidcproxy.auth import freshness
from kubeoidcproxy.auth.fetching import Fetch, FetchFailed
from kubeoidcproxy.auth.issuer_keys import IssuerKeys
from kubeoidcproxy.auth.keyset import KeySet, UnusableKeys
from kubeoidcproxy.auth.refusals import shown
from kubeoidcproxy.auth.trust import PublishedAt
from kubeoidcproxy.auth.waiting import WaitingRoom

FETCH_TIMEOUT = 10.0  # seconds for a whole fetch, discovery and keys: a drip of bytes is no progress
LONGEST_HOLD = 5.0  # seconds that a request waits for keys

REFRESHED = "keys of an issuer have changed"
LEFT_OUT = "keys of an issuer cannot be used"
FETCH_FAILED = "keys of an issuer could not be fetched"


class PublishedKeys:
    """A :class:`~kubeoidcproxy.auth.sources.KeySource` over discovery and JWKS.

    :param on_change: called when the set of keys has changed.
    :param monotonic: seconds for ages and intervals; the wall clock may jump.
    :param jitter: 0 to 1, random.
    """

    _log = Logger()

    def __init__(
        self,
        origin: PublishedAt,
        fetch: Fetch,
        clock: IReactorTime,
        *,
        on_change: Callable[[], None],
        min_refresh_interval: float = 30.0,
        max_stale: float = 86400.0,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._origin = origin
        self._document = IssuerKeys(origin.issuer, origin.discovery_url, fetch)
        self._clock = clock
        self._on_change = on_change
        self._min_refresh_interval = min_refresh_interval
        self._max_stale = max_stale
        self._now = monotonic
        self._jitter = jitter
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._asked_at = float("-inf")
        self._quiet_until = float("-inf")
        self._failures = 0
        self._error = ""
        self._flight: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._waiting = WaitingRoom(clock)
        self._running = False

    def start(self) -> None:
        """Fetch now, and again for ever."""
        self._running = True
        self._take_off()

    def stop(self) -> None:
        """Stop fetching; whoever waits is told that there are no keys."""
        self._running = False
        self._cancel_timer()
        if self._flight is not None:
            self._flight.cancel()

    def refresh(self) -> None:
        """Fetch now, because an operator says so; no second fetch beside one under way."""
        if self._running:
            self._take_off()

    def keys(self) -> KeySet | None:
        """The last good keys; None while none were fetched, or once they are older than ``maxStale``."""
        if self._keys is None or self._now() - self._fetched_at > self._max_stale:
            return None
        return self._keys

    @property
    def failing(self) -> bool:
        """Whether the last fetch failed."""
        return self._failures > 0

    def state(self) -> tuple[bool, str]:
        """(ready, text for people)."""
        keys = self.keys()
        trouble = f"; the last fetch failed: {self._error}" if self._failures else ""
        if self._keys is None:
            return False, "no keys yet" + trouble
        age = f"{len(self._keys.keys)} keys, fetched {self._now() - self._fetched_at:.0f} s ago"
        return keys is not None, (age if keys is not None else f"keys too old: {age}") + trouble

    async def renewed(self, kid: str | None) -> None:
        """Wait for a fetch under way, and cause one for this ``kid`` if that is allowed; 5 s at most in all.

        Returns at once where no fetch can help now. Rejection(503) if the wait was too long or too many wait.
        """
        deadline = self._now() + LONGEST_HOLD
        if self._flight is not None:
            await self._landing(deadline)
            keys = self.keys()
            if keys is not None and keys.knows(kid):
                return
        if self._keys is not None and self._may_ask():
            self._asked_at = self._now()
            self._take_off()
            await self._landing(deadline)

    def _may_ask(self) -> bool:
        now = self._now()
        return self._running and now >= self._quiet_until and now - self._asked_at >= self._min_refresh_interval

    async def _landing(self, deadline: float) -> None:
        if self._flight is not None:  # else it landed within the call that started it
            await self._waiting.wait(deadline - self._now())

    def _take_off(self) -> None:
        if self._flight is not None:
            return
        self._cancel_timer()
        flight = Deferred.fromCoroutine(self._document.fetch(self._keys))
        self._flight = flight.addTimeout(FETCH_TIMEOUT, self._clock).addCallbacks(self._fetched, self._failed)
        if flight.called:
            self._flight = None

    def _fetched(self, keys: KeySet) -> None:
        self._fetched_at = self._now()
        self._failures = 0
        if keys != self._keys:
            self._keys = keys
            self._log.info(REFRESHED + ": {issuer}", issuer=self._origin.issuer, count=len(keys.keys))
            if keys.left_out:
                self._log.warn(LEFT_OUT + ": {issuer}: {keys}", issuer=self._origin.issuer, keys=keys.left_out)
            self._on_change()
        spread = 1 - self._jitter() / 10
        self._land(min(self._document.lifetime * spread, self._max_stale / 3))

    def _failed(self, failure: Failure) -> None:
        self._failures += 1
        self._error = "timed out" if failure.check(TimeoutError) else shown(failure.getErrorMessage())
        self._quiet_until = self._now() + self._document.retry_after
        pause = max(freshness.backoff(self._failures, self._jitter()), self._document.retry_after)
        if not failure.check(FetchFailed, UnusableKeys, TimeoutError, CancelledError):
            self._log.failure("fault of ours while keys were fetched", failure)
        if self._running:
            self._log.warn(
                FETCH_FAILED + ": {issuer}: {error}", issuer=self._origin.issuer, error=self._error, retry_in=pause
            )
        self._land(pause)

    def _land(self, pause: float) -> None:
        self._flight = None
        if self._running:
            self._timer = self._clock.callLater(pause, self._take_off)
        self._waiting.release()

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
