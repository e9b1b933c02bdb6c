"""WebSockets: the handshake of a request already parsed, and messages over the connection it leaves behind."""

from __future__ import annotations

from typing import Protocol

from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from kubeoidcproxy.sandbox.apiserver.authentication import websocket_protocols
from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.request import Request
from kubeoidcproxy.sandbox.apiserver.status import PlainError, bad_request
from kubeoidcproxy.sandbox.apiserver.transport import Transport

NORMAL_CLOSURE = 1000


class Receiver(Protocol):
    """Whoever a WebSocket's messages are for."""

    def message_arrived(self, data: bytes, *, first: bool) -> None:
        """A message or a part of one; ``first`` where it begins."""

    def closed(self) -> None:
        """The client is gone, or has said that it goes."""


class WebSocket:
    """An open WebSocket: an exchange's ``Tunnel``."""

    def __init__(self, connection: Connection, transport: Transport, receiver: Receiver) -> None:
        self._connection = connection
        self._receiver = receiver
        self._at_start = True
        self._closed = False
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        self._connection.receive_data(data)
        try:
            for event in self._connection.events():
                self._received(event)
        except RemoteProtocolError:
            self.transport.abortConnection()

    def connectionLost(self) -> None:
        if not self._closed:
            self._closed = True
            self._receiver.closed()

    def send(self, data: bytes) -> None:
        """Send one binary message."""
        if not self._closed:
            self.transport.write(self._connection.send(BytesMessage(data=data)))

    def close(self) -> None:
        """Say good-bye and close; what was sent before still arrives."""
        if self._closed:
            return
        self._closed = True
        self.transport.write(self._connection.send(CloseConnection(code=NORMAL_CLOSURE)))
        self.transport.loseConnection()

    def _received(self, event: object) -> None:
        if isinstance(event, BytesMessage | TextMessage):
            first, self._at_start = self._at_start, event.message_finished
            data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            self._receiver.message_arrived(data, first=first)
        elif isinstance(event, Ping):
            self.transport.write(self._connection.send(event.response()))
        elif isinstance(event, CloseConnection) and not self._closed:
            self._closed = True
            self.transport.write(self._connection.send(event.response()))
            self.transport.loseConnection()
            self._receiver.closed()


def chosen_protocol(request: Request, supported: tuple[str, ...]) -> str:
    """The sub-protocol to speak; errors for requests that want no WebSocket, or none that is spoken here."""
    upgrade = request.header("upgrade").lower()
    if upgrade.startswith("spdy/"):
        raise bad_request(
            "the sandbox speaks WebSocket only, not SPDY/3.1: use kubectl 1.30 or later for exec and attach, "
            "1.31 or later for port-forward, without KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false or "
            "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"
        )
    if upgrade != "websocket":
        raise bad_request("Upgrade request required")
    for protocol in websocket_protocols(request):
        if protocol in supported:
            return protocol
    raise PlainError(403, "403 Forbidden")


def open_websocket(call: Call, protocol: str, receiver: Receiver) -> WebSocket:
    """Answer 101 and take the connection over."""
    handshake = H11Handshake(ConnectionType.SERVER)
    headers = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in call.request.headers]
    try:
        handshake.initiate_upgrade_connection(headers, call.request.target.encode())
        accepted = handshake.send(AcceptConnection(subprotocol=protocol))
    except (LocalProtocolError, RemoteProtocolError) as error:
        raise bad_request(f"unable to upgrade: {error}") from error
    assert handshake.connection is not None
    socket = WebSocket(handshake.connection, call.exchange.transport, receiver)
    call.exchange.upgrade(accepted, socket)
    return socket
