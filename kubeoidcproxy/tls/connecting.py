"""A connection to an API server: look-up, TCP, handshake, and only then a protocol."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import cast

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProtocol,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.tls.client import ClientTLS, verification_problem
from kubeoidcproxy.tls.errors import (
    ConnectFailed,
    ConnectRefused,
    ConnectTimeout,
    UpstreamConnectError,
    VerificationFailed,
)
from kubeoidcproxy.tls.twisted_tls import TLSTransport, client_side


class IConnectingReactor(IReactorTCP, IReactorTime, IReactorPluggableNameResolver):
    """What it takes to connect to a name."""


def connect(
    reactor: IConnectingReactor,
    host: str,
    port: int,
    tls: ClientTLS,
    build: Callable[[], IProtocol],
    *,
    timeout: float,
) -> Deferred[IProtocol]:
    """Implement :func:`kubeoidcproxy.tls.seam.connect`."""
    where = f"{host}:{port}"
    result: Deferred[IProtocol] = Deferred(lambda _: end(CancelledError()))

    def end(outcome: IProtocol | BaseException) -> None:
        if deadline.active():
            deadline.cancel()
        if not result.called:
            fire = result.errback if isinstance(outcome, BaseException) else result.callback
            fire(outcome)  # type: ignore[arg-type]
        opening.cancel()

    late = ConnectTimeout(f"{where}: no verified connection within {timeout:g} s")
    deadline = reactor.callLater(timeout, end, late)
    opening = Deferred.fromCoroutine(_open(reactor, _endpoint(reactor, host, port, timeout), tls, build))
    opening.addCallbacks(end, lambda failure: end(_translated(failure.value, where)))
    return result


async def _open(
    reactor: IReactorTime, endpoint: IStreamClientEndpoint, tls: ClientTLS, build: Callable[[], IProtocol]
) -> IProtocol:
    connected = await endpoint.connect(client_side(tls.connection, _Handshakes(build), reactor))
    handshake = cast(_Handshake, cast(TLSTransport, connected).wrappedProtocol)
    return await handshake.done


def _endpoint(reactor: IConnectingReactor, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return HostnameEndpoint(reactor, host, port, timeout)
    return (TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint)(reactor, host, port, timeout)


class _Handshakes(Factory):
    noisy = False

    def __init__(self, build: Callable[[], IProtocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return _Handshake(self._build)


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """Stands in until the server is verified. ``done`` fires once; cancelled, it resets the connection."""

    transport: TLSTransport

    def __init__(self, build: Callable[[], IProtocol]) -> None:
        self._build = build
        self.done: Deferred[IProtocol] = Deferred(lambda _: self.transport.abortConnection())

    def handshakeCompleted(self) -> None:
        # The handshake does not complete unless ClientTLS accepted chain and name.
        inner = self._build()
        self.transport.wrappedProtocol = inner
        inner.makeConnection(self.transport)
        self.done.callback(inner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        problem = verification_problem(self.transport.getHandle())  # type: ignore[no-untyped-call]
        self.done.errback(reason if problem is None else VerificationFailed(problem))


def _translated(cause: BaseException, where: str) -> UpstreamConnectError:
    """Foreign exceptions become ours in this one place."""
    if isinstance(cause, UpstreamConnectError):
        return type(cause)(f"{where}: {cause.detail}")
    if isinstance(cause, SSL.Error):
        return VerificationFailed(f"{where}: TLS failed: {_reasons(cause)}")
    if isinstance(cause, error.ConnectionRefusedError):
        return ConnectRefused(f"{where}: connection refused")
    if isinstance(cause, (error.TimeoutError, error.TCPTimedOutError)):
        return ConnectTimeout(f"{where}: {cause}")
    return ConnectFailed(f"{where}: {cause}")


def _reasons(cause: SSL.Error) -> str:
    entries = cause.args[0] if cause.args else ()
    if not isinstance(entries, list | tuple) or not entries:
        return "no reason given"
    return ", ".join(str(entry[-1]) for entry in entries)
