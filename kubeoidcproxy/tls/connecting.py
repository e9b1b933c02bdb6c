"""A connection to an API server: look-up, TCP, handshake, and only then a protocol."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Coroutine
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IProtocol,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from kubeoidcproxy.tls.client import ClientTLS, verification_problem
from kubeoidcproxy.tls.errors import (
    ConnectFailed,
    ConnectRefused,
    ConnectTimeout,
    UpstreamConnectError,
    VerificationFailed,
)
from kubeoidcproxy.tls.handshake import Handshake
from kubeoidcproxy.tls.sockets import Address, Detachment, set_client_options
from kubeoidcproxy.tls.transport import TLSTransport


class IConnectingReactor(IReactorTCP, IReactorTime, IReactorPluggableNameResolver):
    """What it takes to connect to a name."""


Build = Callable[[], IProtocol]

# TCP and the handshake, from an endpoint on; cancelled, it leaves no socket.
Dial = Callable[
    [IConnectingReactor, IStreamClientEndpoint, ClientTLS, Build, float], Coroutine[Deferred[Any], Any, IProtocol]
]


def connect(
    reactor: IConnectingReactor,
    host: str,
    port: int,
    tls: ClientTLS,
    build: Build,
    *,
    timeout: float,
    keep_alive: float,
    dial: Dial,
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
    endpoint = _endpoint(reactor, host, port, timeout)
    opening = Deferred.fromCoroutine(dial(reactor, endpoint, tls, build, keep_alive))
    opening.addCallbacks(end, lambda failure: end(_translated(failure.value, where)))
    return result


async def dial(
    reactor: IConnectingReactor, endpoint: IStreamClientEndpoint, tls: ClientTLS, build: Build, keep_alive: float
) -> IProtocol:
    """Implement :data:`Dial` for the transport on the socket itself."""
    dialled = cast(_Dialled, await endpoint.connect(Factory.forProtocol(_Dialled)))
    set_client_options(dialled.plain, keep_alive)
    return await _verified(dialled, tls, build, reactor)


def _endpoint(reactor: IConnectingReactor, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return HostnameEndpoint(reactor, host, port, timeout)
    return (TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint)(reactor, host, port, timeout)


class _Dialled(Detachment):
    def taken(self, plain: socket.socket, peer: Address, reactor: Any) -> None:
        self.plain = plain
        self.peer = peer


def _verified(dialled: _Dialled, tls: ClientTLS, build: Build, reactor: Any) -> Deferred[IProtocol]:
    connection = tls.connection(dialled.plain)
    transport = TLSTransport(connection, dialled.plain, dialled.peer, reactor)
    verified: Deferred[IProtocol] = Deferred(lambda _: transport.abortConnection())

    def done() -> None:
        # The handshake does not end well unless ClientTLS accepted chain and name.
        inner = build()
        transport.open(inner)
        verified.callback(inner)

    def failed(reason: Failure) -> None:
        problem = verification_problem(connection)
        if not verified.called:
            verified.errback(reason if problem is None else VerificationFailed(problem))

    handshake = Handshake(connection, transport, done, failed)
    transport.begin(handshake)
    handshake.step()
    return verified


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
