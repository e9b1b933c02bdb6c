"""port-forward: SPDY streams inside a WebSocket (KEP-4006), each joined to a TCP connection on loopback."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTCP
from zope.interface import implementer

from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.forwarded import Forwarded
from kubeoidcproxy.sandbox.apiserver.pods import PodLife
from kubeoidcproxy.sandbox.apiserver.spdy import (
    DataArrived,
    Event,
    PingArrived,
    SpdyError,
    SpdyServer,
    StreamOpened,
    StreamReset,
)
from kubeoidcproxy.sandbox.apiserver.transport import Transport
from kubeoidcproxy.sandbox.apiserver.websocket import WebSocket, chosen_protocol, open_websocket

PROTOCOLS = ("SPDY/3.1+portforward.k8s.io",)


async def forward_ports(call: Call, reactor: IReactorTCP, pod_life: PodLife) -> None:
    """Take the connection over and stay until the client or the pod has gone."""
    protocol = chosen_protocol(call.request, PROTOCOLS)
    tunnel = PortForwardTunnel(reactor, call.exchange.transport, f"{call.info.namespace}/{call.info.name}")
    tunnel.socket = open_websocket(call, protocol, tunnel)
    with pod_life.at_end(call.exchange.transport.abortConnection):
        await tunnel.ended


@implementer(IPushProducer)
class PortForwardTunnel:
    """All forwarded connections of one kubectl. Towards the client it is the producer of them all."""

    socket: WebSocket

    def __init__(self, reactor: IReactorTCP, transport: Transport, pod: str) -> None:
        self._reactor = reactor
        self._transport = transport
        self._pod = pod
        self._spdy = SpdyServer()
        self._error_streams: dict[str, int] = {}
        self._forwarded: dict[int, Forwarded] = {}
        self._holding_up: set[Forwarded] = set()
        self.ended: Deferred[None] = Deferred()
        transport.registerProducer(self, True)

    def message_arrived(self, data: bytes, *, first: bool) -> None:
        try:
            for event in self._spdy.receive(data):
                self._received(event)
        except SpdyError:
            self._transport.abortConnection()

    def closed(self) -> None:
        for forwarded in list(self._forwarded.values()):
            forwarded.abort()
        self.ended.callback(None)

    def send_data(self, stream_id: int, data: bytes, *, last: bool = False) -> None:
        self.socket.send(self._spdy.data(stream_id, data, last=last))

    def forget(self, forwarded: Forwarded) -> None:
        self._forwarded.pop(forwarded.data_stream, None)
        self.go_on(forwarded)

    def hold_up(self, forwarded: Forwarded) -> None:
        """One target takes no more: the client is not read, whichever stream the next bytes are for."""
        self._holding_up.add(forwarded)
        self._transport.pauseProducing()

    def go_on(self, forwarded: Forwarded) -> None:
        self._holding_up.discard(forwarded)
        if not self._holding_up:
            self._transport.resumeProducing()

    def pauseProducing(self) -> None:
        for forwarded in self._forwarded.values():
            forwarded.pause_target()

    def resumeProducing(self) -> None:
        for forwarded in list(self._forwarded.values()):
            forwarded.resume_target()

    def stopProducing(self) -> None:
        self.pauseProducing()

    def _received(self, event: Event) -> None:
        if isinstance(event, StreamOpened):
            self.socket.send(self._spdy.reply(event.stream_id))
            self._opened(event)
        elif isinstance(event, PingArrived):
            self.socket.send(self._spdy.pong(event.ping_id))
        elif isinstance(event, DataArrived) and (forwarded := self._forwarded.get(event.stream_id)):
            forwarded.client_sent(event.data, last=event.last)
        elif isinstance(event, StreamReset) and (forwarded := self._forwarded.get(event.stream_id)):
            forwarded.abort()

    def _opened(self, event: StreamOpened) -> None:
        """The error stream of a request comes first, then its data stream (``httpStreamHandler`` of the kubelet)."""
        request, port = event.headers.get("requestid", ""), event.headers.get("port", "")
        if event.headers.get("streamtype") == "error":
            self._error_streams[request] = event.stream_id
        elif event.headers.get("streamtype") == "data" and port.isdecimal() and request in self._error_streams:
            forwarded = Forwarded(self, event.stream_id, self._error_streams.pop(request), self._pod, int(port))
            self._forwarded[event.stream_id] = forwarded
            forwarded.dial(self._reactor)
        else:
            self.socket.send(self._spdy.reset(event.stream_id))
