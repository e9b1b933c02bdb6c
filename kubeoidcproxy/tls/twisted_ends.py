"""Both ends of the seam over Twisted's own TLS, the other implementation: slower, and the measure of ours.

Twisted tells a protocol of its connection before the handshake. So a stand-in takes that call, waits, and puts the
protocol that was asked for in its own place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.tls.accepting import no_handshake, server_name
from kubeoidcproxy.tls.client import ClientTLS, verification_problem
from kubeoidcproxy.tls.errors import VerificationFailed
from kubeoidcproxy.tls.server import ServerContexts
from kubeoidcproxy.tls.sockets import set_client_options
from kubeoidcproxy.tls.twisted_tls import TLSTransport, client_side, server_side


def server_factory(
    contexts: ServerContexts,
    build: Callable[[str | None], IProtocol],
    *,
    handshake_timeout: float,
    clock: IReactorTime,
) -> IProtocolFactory:
    """Implement :func:`kubeoidcproxy.tls.seam.server_factory`."""
    return server_side(contexts.connection, _Factory(lambda: _Accepted(build, handshake_timeout, clock)), clock)


async def dial(
    reactor: IReactorTime,
    endpoint: IStreamClientEndpoint,
    tls: ClientTLS,
    build: Callable[[], IProtocol],
    keep_alive: float,
) -> IProtocol:
    """Implement :data:`kubeoidcproxy.tls.connecting.Dial`."""
    connected = await endpoint.connect(
        client_side(tls.connection, _Factory(lambda: _Dialled(build, keep_alive)), reactor)
    )
    return await cast(_Dialled, cast(TLSTransport, connected).wrappedProtocol).verified


class _Factory(Factory):
    noisy = False

    def __init__(self, new: Callable[[], Protocol]) -> None:
        self._new = new

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self._new()


@implementer(IHandshakeListener)
class _Accepted(Protocol):
    transport: TLSTransport

    def __init__(self, build: Callable[[str | None], IProtocol], timeout: float, clock: IReactorTime) -> None:
        self._build = build
        self._timeout = timeout
        self._clock = clock
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._deadline = self._clock.callLater(self._timeout, self._too_slow)

    def handshakeCompleted(self) -> None:
        self._cancel_deadline()
        _replace(self, self._build(server_name(self.transport.getHandle())))  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_deadline()
        no_handshake(self.transport.getPeer(), reason)  # type: ignore[no-untyped-call]

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.abortConnection()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@implementer(IHandshakeListener)
class _Dialled(Protocol):
    """``verified`` fires once; cancelled, it resets the connection."""

    transport: TLSTransport

    def __init__(self, build: Callable[[], IProtocol], keep_alive: float) -> None:
        self._build = build
        self._keep_alive = keep_alive
        self.verified: Deferred[IProtocol] = Deferred(lambda _: self.transport.abortConnection())

    def connectionMade(self) -> None:
        set_client_options(self.transport.transport.getHandle(), self._keep_alive)  # type: ignore[union-attr]

    def handshakeCompleted(self) -> None:
        # The handshake does not complete unless ClientTLS accepted chain and name.
        inner = self._build()
        _replace(self, inner)
        self.verified.callback(inner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.verified.called:
            return
        problem = verification_problem(self.transport.getHandle())  # type: ignore[no-untyped-call]
        self.verified.errback(reason if problem is None else VerificationFailed(problem))


def _replace(stand_in: _Accepted | _Dialled, inner: IProtocol) -> None:
    stand_in.transport.wrappedProtocol = inner
    inner.makeConnection(stand_in.transport)
