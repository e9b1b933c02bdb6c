"""The transport under the seam: Twisted's TLS over memory BIOs, with an end that is bounded in time."""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.tls.transport import ABORT_WITHIN, CLOSE_WITHIN


class TLSTransport(TLSMemoryBIOProtocol):
    """Twisted's, unbuffered (the relay writes whole pieces), that does not wait for a close_notify for ever."""

    factory: TLSFactory
    _deadline: IDelayedCall | None = None
    _has_producer = False

    def loseConnection(self) -> None:
        super().loseConnection()  # type: ignore[no-untyped-call]
        self._limit_closing()

    def abortConnection(self) -> None:
        if self.connected:  # Twisted's own fails on a connection that is gone
            super().abortConnection()  # type: ignore[no-untyped-call]

    def registerProducer(self, producer: object, streaming: bool) -> None:
        super().registerProducer(producer, streaming)  # type: ignore[no-untyped-call]
        self._has_producer = True

    def unregisterProducer(self) -> None:
        super().unregisterProducer()  # type: ignore[no-untyped-call]
        self._has_producer = False
        self._limit_closing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_deadline()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _limit_closing(self) -> None:
        # A registered producer goes on writing after loseConnection, as on any Twisted transport.
        if self.disconnecting and self.connected and not self._has_producer and self._deadline is None:
            self._deadline = self.factory.clock.callLater(CLOSE_WITHIN, self._stop_waiting)

    def _stop_waiting(self) -> None:
        self._deadline = self.factory.clock.callLater(ABORT_WITHIN - CLOSE_WITHIN, self._give_up)
        self.transport.loseConnection()  # type: ignore[union-attr]

    def _give_up(self) -> None:
        self._deadline = None
        self.abortConnection()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None


class TLSFactory(TLSMemoryBIOFactory):
    """Puts :class:`TLSTransport` between a plain transport and the protocols of a factory."""

    protocol = TLSTransport

    def __init__(
        self, new_connection: _Creator, is_client: bool, wrapped: IProtocolFactory, clock: IReactorTime
    ) -> None:
        super().__init__(new_connection, is_client, wrapped, clock)
        self.clock = clock


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class _Creator:
    """A plain function under the two names that Twisted calls it by."""

    def __init__(self, new_connection: Callable[[], SSL.Connection]) -> None:
        self._new_connection = new_connection

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return self._new_connection()

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return self._new_connection()


def server_side(
    new_connection: Callable[[], SSL.Connection], wrapped: IProtocolFactory, clock: IReactorTime
) -> TLSFactory:
    return TLSFactory(_Creator(new_connection), False, wrapped, clock)


def client_side(
    new_connection: Callable[[], SSL.Connection], wrapped: IProtocolFactory, clock: IReactorTime
) -> TLSFactory:
    return TLSFactory(_Creator(new_connection), True, wrapped, clock)
