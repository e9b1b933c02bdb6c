"""Makes the connections of a listening port."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from zope.interface import implementer

from kubeoidcproxy.sandbox.apiserver.protocol import HttpConnection, Serve


@implementer(IProtocolNegotiationFactory)
class HttpFactory(Factory):
    """Makes connections and knows the open ones."""

    noisy = False

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections: set[HttpConnection] = set()

    def buildProtocol(self, addr: IAddress | None) -> HttpConnection:
        return HttpConnection(self._serve, self.connections)

    def acceptableProtocols(self) -> list[bytes]:
        """For ALPN. Without it Twisted ends the handshake of every client that offers anything, as all do."""
        return [b"http/1.1"]
