"""One request's answer: whole, as a stream of chunks, or by handing the connection over."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import h11
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer

from kubeoidcproxy.sandbox.apiserver.request import Response, json_response
from kubeoidcproxy.sandbox.apiserver.status import ApiError, PlainError, internal
from kubeoidcproxy.sandbox.apiserver.transport import Transport


class Tunnel(Protocol):
    """What takes a connection over after a 101."""

    def dataReceived(self, data: bytes) -> None: ...

    def connectionLost(self) -> None: ...


class Exchange:
    """Answers one request, once. ``on_head`` hears of the answer as soon as its head is out."""

    def __init__(
        self,
        http: h11.Connection,
        transport: Transport,
        head_only: bool,
        finished: Callable[[], None],
        take_over: Callable[[Tunnel], bytes],
    ) -> None:
        self._http = http
        self._head_only = head_only
        self._finished = finished
        self._take_over = take_over
        self._waiting: list[Deferred[None]] = []
        self.transport = transport
        self.headers: tuple[tuple[str, str], ...] = ()
        self.on_head: Callable[[Response], None] = lambda response: None
        self.status = 0
        self.lost = False

    def respond(self, response: Response) -> None:
        """Send a whole answer."""
        length = (("Content-Length", str(len(response.body))),)
        self._send_head(response, length)
        if not self._head_only:
            self._send(h11.Data(data=response.body))
        self.finish()

    async def refuse(self, error: Exception) -> None:
        """Answer an error; of an error of ours the client learns nothing more than that."""
        self.respond(error_response(error))

    def start_stream(self, content_type: str) -> None:
        """Send the head of an answer whose body comes in chunks."""
        self._send_head(Response(200, content_type=content_type), ())

    def write(self, data: bytes) -> None:
        """Send a chunk of the stream."""
        if not self.lost and not self._head_only:
            self._send(h11.Data(data=data))

    def stream_from(self, producer: IPushProducer) -> None:
        """Let the connection pause and resume whoever fills the stream."""
        self.transport.registerProducer(producer, True)

    def finish(self) -> None:
        """End the body; the connection may carry the next request."""
        if self.lost:
            return
        self._send(h11.EndOfMessage())
        self._wake()
        self._finished()

    def end_stream(self) -> None:
        """Finish a stream that had a producer."""
        self.transport.unregisterProducer()
        self.finish()

    def upgrade(self, handshake: bytes, tunnel: Tunnel) -> None:
        """Write the 101 and hand the connection over, with the bytes that came early."""
        self._head_sent(Response(HTTPStatus.SWITCHING_PROTOCOLS))
        early = self._take_over(tunnel)
        self.transport.write(handshake)
        if early:
            tunnel.dataReceived(early)

    def connection_lost(self) -> None:
        self.lost = True
        self._wake()

    def ended(self) -> Deferred[None]:
        """Fires when the answer is complete or the client has gone."""
        waiting: Deferred[None] = Deferred()
        if self.lost:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def _send_head(self, response: Response, framing: tuple[tuple[str, str], ...]) -> None:
        common = (
            ("Cache-Control", "no-cache, private"),
            ("Content-Type", response.content_type),
            ("Date", formatdate(usegmt=True)),
        )
        headers = [*self.headers, *common, *response.headers, *framing]
        reason = HTTPStatus(response.status).phrase
        self._send(h11.Response(status_code=response.status, headers=_encoded(headers), reason=reason.encode()))
        self._head_sent(response)

    def _head_sent(self, response: Response) -> None:
        self.status = response.status
        self.on_head(response)

    def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        if not self.lost:
            self.transport.write(self._http.send(event) or b"")


def error_response(error: Exception) -> Response:
    """Every error as an answer: a Status, but for those that Go's own server makes."""
    if isinstance(error, PlainError):
        return Response(error.code, f"{error.text}\n".encode(), "text/plain; charset=utf-8")
    refusal = error if isinstance(error, ApiError) else internal("the sandbox failed; its log says why")
    return json_response(refusal.as_status(), refusal.code)


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in headers]
