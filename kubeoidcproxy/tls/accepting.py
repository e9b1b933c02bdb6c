"""A client's handshake in bounded time, and then the protocol that was built for the name it asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from kubeoidcproxy.tls.handshake import Handshake
from kubeoidcproxy.tls.names import normalise
from kubeoidcproxy.tls.server import ServerContexts
from kubeoidcproxy.tls.sockets import Address, Detachment
from kubeoidcproxy.tls.transport import TLSTransport

log = Logger()


def server_factory(
    contexts: ServerContexts,
    build: Callable[[str | None], IProtocol],
    *,
    handshake_timeout: float,
    clock: IReactorTime,
) -> IProtocolFactory:
    """Implement :func:`kubeoidcproxy.tls.seam.server_factory`."""
    return _Arrivals(contexts, build, handshake_timeout, clock)


class _Arrivals(Factory):
    """For any port that accepts TCP: its own transports last until they are told of their connection."""

    noisy = False

    def __init__(
        self,
        contexts: ServerContexts,
        build: Callable[[str | None], IProtocol],
        timeout: float,
        clock: IReactorTime,
    ) -> None:
        self.contexts = contexts
        self.build = build
        self.timeout = timeout
        self.clock = clock

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return _Arrival(self)


class _Arrival(Detachment):
    _transport: TLSTransport

    def __init__(self, arrivals: _Arrivals) -> None:
        self._arrivals = arrivals

    def taken(self, plain: socket.socket, peer: Address, reactor: Any) -> None:
        self._connection = self._arrivals.contexts.connection(plain)
        self._transport = TLSTransport(self._connection, plain, peer, reactor)
        self._deadline = self._arrivals.clock.callLater(self._arrivals.timeout, self._transport.abortConnection)
        self._transport.begin(Handshake(self._connection, self._transport, self._done, self._failed))

    def _done(self) -> None:
        self._deadline.cancel()
        self._transport.open(self._arrivals.build(server_name(self._connection)))
        self._transport.read_on()  # most clients have sent their first request by now

    def _failed(self, reason: Failure) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        no_handshake(self._transport.getPeer(), reason)


def server_name(connection: SSL.Connection) -> str | None:
    """The name that a client asked for, as we compare names."""
    name = connection.get_servername()
    return None if name is None else normalise(name)


def no_handshake(peer: IAddress, reason: Failure) -> None:
    """Scanners, health checks of load balancers, clients that do not trust us: every day, and nobody's error here."""
    # As text: an exception would take all that its frames hold into wherever events are kept.
    log.debug("no TLS handshake with {peer}: {reason}", peer=peer, reason=str(reason.value))
