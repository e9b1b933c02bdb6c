"""What is asked of Twisted's transports, whose interfaces leave out that they are consumers and producers."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IAddress, IPushProducer
from zope.interface import implementer


class Transport(Protocol):
    """A TCP or TLS connection of Twisted."""

    def write(self, data: bytes) -> None: ...

    def loseConnection(self) -> None: ...

    def loseWriteConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...

    def getPeer(self) -> IAddress: ...


class Child(Protocol):
    """A child process of Twisted, on pipes or on a terminal."""

    def write(self, data: bytes) -> None: ...

    def closeStdin(self) -> None: ...

    def signalProcess(self, signal: str) -> None: ...

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...


@implementer(IPushProducer)
class Reading:
    """Lets a consumer pause the reading from a connection, but not end it: its owner may have more to say on it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        self._transport.resumeProducing()
