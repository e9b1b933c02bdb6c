"""A client's handshake, and then the protocol that was built for the name it asked for.

Twisted tells a protocol of its connection before the handshake. So a stand-in takes that call, waits, and puts the
protocol that was asked for in its own place.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.tls.names import normalise
from kubeoidcproxy.tls.server import ServerContexts
from kubeoidcproxy.tls.twisted_tls import TLSTransport, server_side

log = Logger()


def server_factory(
    contexts: ServerContexts,
    build: Callable[[str | None], IProtocol],
    *,
    handshake_timeout: float,
    clock: IReactorTime,
) -> IProtocolFactory:
    """Implement :func:`kubeoidcproxy.tls.seam.server_factory`."""
    return server_side(contexts.connection, _Handshakes(build, handshake_timeout, clock), clock)


class _Handshakes(Factory):
    noisy = False

    def __init__(self, build: Callable[[str | None], IProtocol], timeout: float, clock: IReactorTime) -> None:
        self._build = build
        self._timeout = timeout
        self._clock = clock

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return _Handshake(self._build, self._timeout, self._clock)


@implementer(IHandshakeListener)
class _Handshake(Protocol):
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
        inner = self._build(_server_name(self.transport))
        self.transport.wrappedProtocol = inner
        inner.makeConnection(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Scanners, health checks of load balancers, clients that do not trust us: every day, and nobody's error here.
        self._cancel_deadline()
        peer = self.transport.getPeer()  # type: ignore[no-untyped-call]
        log.debug("no TLS handshake with {peer}: {reason}", peer=peer, reason=reason.value)

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.abortConnection()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _server_name(transport: TLSTransport) -> str | None:
    name: bytes | None = transport.getHandle().get_servername()  # type: ignore[no-untyped-call]
    return None if name is None else normalise(name)
