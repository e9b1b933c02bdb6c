"""The seams of the house: what one room asks of another without knowing it.

Awaitables are Deferreds at run time; this layer does not import Twisted.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.http1.request import RequestHead
from kubeoidcproxy.identity import Caller


class Authenticator(Protocol):
    """Bearer token to caller."""

    def recall(self, token: bytes) -> Caller | None:
        """The caller of a token that was verified a moment ago and has not expired, else None. A plain call."""

    def authenticate(self, token: bytes) -> Awaitable[Caller]:
        """Verify a token. Fails with :class:`~kubeoidcproxy.errors.Rejection` (401, 403, or 503 with Retry-After)."""


class ExchangeObserver(Protocol):
    """Somebody who writes requests down: access log, metrics, audit sinks."""

    def answered(self, exchange: Exchange) -> None:
        """The head of the answer is known (or the request is refused). Once a request at the most."""

    def ended(self, exchange: Exchange) -> None:
        """The request is over, whatever way. Exactly once for every request that reached us (law 11)."""


class Admission(Protocol):
    """``audit.admit``: may hold a request back until its record is safe on disk."""

    def admit(self, exchange: Exchange) -> Awaitable[None] | None:
        """None: go on at once. Fails with Rejection(503) where the record cannot be kept and must be."""


class UpstreamUser(Protocol):
    """Who uses an upstream connection: the relay's side of one exchange."""

    def upstream_sent(self, data: bytes) -> None:
        """Bytes came from upstream."""

    def upstream_left(self, *, clean: bool) -> None:
        """The connection ended; it is nobody's any more."""

    def upstream_full(self) -> None:
        """Its send buffer is full: write no more for now."""

    def upstream_drained(self) -> None:
        """Its send buffer has room again."""


class UpstreamConnection(Protocol):
    """One verified connection to an API server, used by one exchange at a time."""

    reused: bool

    def attach(self, user: UpstreamUser) -> None:
        """Events go to this user from now on."""

    def write(self, data: bytes) -> None:
        """Send."""

    def hold(self) -> None:
        """Read no more for now."""

    def read(self) -> None:
        """Read again."""

    def release(self) -> None:
        """The exchange ended cleanly: somebody else may have it."""

    def abort(self) -> None:
        """Reset it."""

    def close(self) -> None:
        """Deliver what was written, then close."""


class Upstreams(Protocol):
    """Connections to one cluster."""

    def acquire(self, *, fresh: bool) -> UpstreamConnection | Awaitable[UpstreamConnection]:
        """A connection: at once if one is idle and will do, else awaited.

        Fails with Rejection: 502, 503 or 504 (policy "upstream").
        """


@dataclass(frozen=True, slots=True)
class Passage:
    """A request's way upstream, once it may go.

    :param upstreams: where to get a connection.
    :param head: the finished request head.
    :param response_timeout: seconds from the last byte of the request to the head of its answer.
    """

    upstreams: Upstreams
    head: bytes
    response_timeout: float


class Gate(Protocol):
    """From a request head to its way upstream: routing, authentication, impersonation, admission."""

    def decide(self, head: RequestHead, server_name: str | None, exchange: Exchange) -> Passage | Awaitable[Passage]:
        """The way; at once for a caller known from a moment ago. Fails with Rejection."""
