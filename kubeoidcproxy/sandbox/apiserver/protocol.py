"""HTTP/1.1 for the API server: h11 over a Twisted connection, one request at a time.

h11 is used, and not the project's own ``http1``, so that a mistake in one does not hide the same mistake in the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import h11
from OpenSSL.crypto import X509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from kubeoidcproxy.sandbox.apiserver.authentication import certificate_user
from kubeoidcproxy.sandbox.apiserver.exchange import Exchange, Tunnel
from kubeoidcproxy.sandbox.apiserver.request import Request
from kubeoidcproxy.sandbox.apiserver.status import too_large
from kubeoidcproxy.sandbox.apiserver.transport import Transport
from kubeoidcproxy.sandbox.apiserver.users import User

MAX_HEAD = 1024 * 1024  # http.DefaultMaxHeaderBytes, which kube-apiserver keeps
MAX_BODY = 3 * 1024 * 1024  # MaxRequestBodyBytes of kube-apiserver
MAX_PIPELINED = 64 * 1024  # what a client may send ahead before it is no longer read

Serve = Callable[[Request, Exchange], Awaitable[None]]


class HttpConnection(Protocol):
    """A client's connection: requests in, exchanges out, until one of them takes the connection over."""

    _log = Logger()

    def __init__(self, serve: Serve, open_connections: set[HttpConnection]) -> None:
        self._serve = serve
        self._open_connections = open_connections
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._reading = False
        self._failed = False

    def connectionMade(self) -> None:
        self._open_connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.dataReceived(data)
            return
        if self._failed:
            return
        self._http.receive_data(data)
        if self._exchange is not None and len(self._http.trailing_data[0]) > MAX_PIPELINED:
            self._tcp().pauseProducing()
        self._read_requests()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._open_connections.discard(self)
        if self._tunnel is not None:
            self._tunnel.connectionLost()
        if self._exchange is not None:
            self._exchange.connection_lost()

    def abort(self) -> None:
        self._tcp().abortConnection()

    def _read_requests(self) -> None:
        """Read on until a request is being served; guarded, for a request served at once asks to read on itself."""
        if self._reading:
            return
        self._reading = True
        try:
            while self._exchange is None and not self._failed and self._read_event():
                pass
        finally:
            self._reading = False

    def _read_event(self) -> bool:
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError:
            self._refuse(b"400 Bad Request")
            return False
        if event is h11.NEED_DATA and self._http.they_are_waiting_for_100_continue:
            self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        if isinstance(event, h11.Request):
            self._head, self._body = event, bytearray()
        elif isinstance(event, h11.Data):
            self._body_received(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self._begin()
        return event not in (h11.NEED_DATA, h11.PAUSED) and not isinstance(event, h11.ConnectionClosed)

    def _body_received(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > MAX_BODY:
            self._begin(refusal=too_large(MAX_BODY))

    def _begin(self, refusal: Exception | None = None) -> None:
        assert self._head is not None
        exchange = Exchange(self._http, self._tcp(), self._head.method == b"HEAD", self._finished, self._take_over)
        self._exchange = exchange
        request = self._request(self._head, b"" if refusal else bytes(self._body))
        served = self._serve(request, exchange) if refusal is None else exchange.refuse(refusal)
        Deferred.fromCoroutine(_coroutine(served)).addErrback(self._serving_failed)

    def _request(self, head: h11.Request, body: bytes) -> Request:
        headers = tuple((name.decode("ascii"), _text(value)) for name, value in head.headers)
        peer = getattr(self._tcp().getPeer(), "host", "")
        return Request(head.method.decode(), _text(head.target), headers, body, peer, self._certificate_user())

    def _certificate_user(self) -> User | None:
        if not ISSLTransport.providedBy(self.transport):
            return None
        certificate = cast("X509 | None", self.transport.getPeerCertificate())
        return None if certificate is None else certificate_user(certificate.to_cryptography())

    def _finished(self) -> None:
        """The exchange is over: read the next request, or close where either side asked for it."""
        self._exchange = None
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._tcp().resumeProducing()
            self._read_requests()
        else:
            self._failed = True
            self._tcp().loseConnection()

    def _take_over(self, tunnel: Tunnel) -> bytes:
        self._tunnel = tunnel
        self._tcp().resumeProducing()
        return self._http.trailing_data[0]

    def _refuse(self, text: bytes) -> None:
        """What Go's net/http writes for a request that it cannot read."""
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        self._failed = True
        self._write(head + text)
        self._tcp().loseConnection()

    def _serving_failed(self, failure: Failure) -> None:
        self._log.failure("serving a request failed", failure=failure)
        self.abort()

    def _write(self, data: bytes | None) -> None:
        self._tcp().write(data or b"")

    def _tcp(self) -> Transport:
        return cast(Transport, self.transport)


async def _coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
