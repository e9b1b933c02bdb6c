"""One forwarded connection: two SPDY streams of the client on one side, a TCP connection to the target on the other."""

from __future__ import annotations

from typing import Protocol as Interface
from typing import cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, IReactorTCP
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.sandbox.apiserver.transport import Transport


class Tunnel(Interface):
    """The client's side, shared by all forwarded connections."""

    def send_data(self, stream_id: int, data: bytes, *, last: bool = False) -> None: ...

    def forget(self, forwarded: Forwarded) -> None: ...

    def hold_up(self, forwarded: Forwarded) -> None: ...

    def go_on(self, forwarded: Forwarded) -> None: ...


@implementer(IHalfCloseableProtocol)
class Forwarded(Protocol):
    """One forwarded connection: a data stream, an error stream and the connection to the target."""

    def __init__(self, tunnel: Tunnel, data_stream: int, error_stream: int, pod: str, port: int) -> None:
        self.data_stream = data_stream
        self._error_stream = error_stream
        self._pod = pod
        self._port = port
        self._tunnel = tunnel
        self._early: list[tuple[bytes, bool]] = []
        self._target_ended = False
        self._aborted = False

    def dial(self, reactor: IReactorTCP) -> None:
        self._tunnel.hold_up(self)
        factory = Factory.forProtocol(lambda: self)
        factory.noisy = False
        TCP4ClientEndpoint(reactor, "127.0.0.1", self._port).connect(factory).addErrback(self._dial_failed)

    def connectionMade(self) -> None:
        if self._aborted:
            self._tcp().abortConnection()
            return
        self._tcp().registerProducer(_TunnelReader(self._tunnel, self), True)
        self._tunnel.go_on(self)
        for data, last in self._early:
            self.client_sent(data, last=last)

    def dataReceived(self, data: bytes) -> None:
        self._tunnel.send_data(self.data_stream, data)

    def readConnectionLost(self) -> None:
        self._end_streams(b"")

    def writeConnectionLost(self) -> None:
        """The client's end was passed on."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end_streams(b"")
        self._tunnel.forget(self)

    def client_sent(self, data: bytes, *, last: bool) -> None:
        if self.transport is None:
            self._early.append((data, last))
            return
        self._tcp().write(data)
        if last:  # with a paused producer Twisted would never come to the end of the output, and never resume it
            self._tcp().unregisterProducer()
            self._tunnel.go_on(self)
            self._tcp().loseWriteConnection()

    def abort(self) -> None:
        self._aborted = True
        if self.transport is not None:
            self._tcp().abortConnection()

    def pause_target(self) -> None:
        if self.transport is not None:
            self._tcp().pauseProducing()

    def resume_target(self) -> None:
        if self.transport is not None:
            self._tcp().resumeProducing()

    def _dial_failed(self, failure: Failure) -> None:
        failure.trap(ConnectError)
        why = "connection refused" if failure.check(ConnectionRefusedError) else failure.getErrorMessage()
        dial = f"dial tcp 127.0.0.1:{self._port}: connect: {why}"
        text = f"error forwarding port {self._port} to pod {self._pod}, uid : {dial}"  # the kubelet's own text
        self._end_streams(text.encode())
        self._tunnel.forget(self)

    def _end_streams(self, error: bytes) -> None:
        if not self._target_ended:
            self._target_ended = True
            self._tunnel.send_data(self._error_stream, error, last=True)
            self._tunnel.send_data(self.data_stream, b"", last=True)

    def _tcp(self) -> Transport:
        return cast(Transport, self.transport)


@implementer(IPushProducer)
class _TunnelReader:
    """The client as the producer of what a target takes."""

    def __init__(self, tunnel: Tunnel, forwarded: Forwarded) -> None:
        self._tunnel = tunnel
        self._forwarded = forwarded

    def pauseProducing(self) -> None:
        self._tunnel.hold_up(self._forwarded)

    def resumeProducing(self) -> None:
        self._tunnel.go_on(self._forwarded)

    def stopProducing(self) -> None:
        self._tunnel.go_on(self._forwarded)
