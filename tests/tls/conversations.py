"""A server connection of ours and a client of the standard library, step by step, with time standing still.

One kind for each implementation of the seam: over Twisted's TLS the bytes are carried by hand; over ours there is a TCP
connection on loopback, and a reactor that turns only when told.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest
from certificates import Authority
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from kubeoidcproxy.tls import accepting, twisted_ends
from kubeoidcproxy.tls.certificates import parse_pair
from kubeoidcproxy.tls.server import ServerContexts

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue("prod.example.com")
CONTEXTS = ServerContexts(
    [parse_pair(ISSUED.cert_pem.encode(), ISSUED.key_pem.encode(), cert_source="c", key_source="k")]
)
TIMEOUT = 10.0  # for the handshake
SMALL, ROOMY = 2**16, 2**20  # what the kernel buffers: so little that a test is soon done with it, or enough


class Inner(Protocol):
    """The protocol inside. It can be told what to do when it hears something."""

    def __init__(self) -> None:
        self.received = b""
        self.pieces: list[int] = []
        self.lost: list[type[BaseException]] = []
        self.on_made: Callable[[], object] = lambda: None
        self.on_data: Callable[[], object] = lambda: None

    def connectionMade(self) -> None:
        self.on_made()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.pieces.append(len(data))
        self.on_data()

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason.type)


class Conversation:
    """What both kinds have.

    :param name: the server name that the client asks for.
    """

    clock: Clock
    peer: object

    def __init__(self, name: str | None = "prod.example.com") -> None:
        self.built: list[tuple[str | None, Inner]] = []
        self.on_made: Callable[[], object] = lambda: None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cadata=AUTHORITY.pem)
        context.check_hostname = False
        self.client = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def _build(self, name: str | None) -> Inner:
        inner = Inner()
        inner.on_made = self.on_made
        self.built.append((name, inner))
        return inner

    @property
    def inner(self) -> Inner:
        ((_, inner),) = self.built
        return inner

    def deliver(self, data: bytes) -> None:
        """These bytes of the client reach the server."""
        raise NotImplementedError

    def take(self) -> None:
        """What the server sent reaches the client."""
        raise NotImplementedError

    def cut(self) -> None:
        """The client's FIN reaches the server."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether the server has sent its FIN."""
        raise NotImplementedError

    @property
    def aborted(self) -> bool:
        """Whether the server has sent a RST."""
        raise NotImplementedError

    def start(self) -> bytes:
        """The ClientHello."""
        with pytest.raises(ssl.SSLWantReadError):
            self.client.do_handshake()
        return self._outgoing.read()

    def answer(self, more: bytes = b"") -> bytes:
        """The client's last flight of the handshake, and application data in the same piece."""
        self.take()
        self.client.do_handshake()
        if more:
            self.client.write(more)
        return self._outgoing.read()

    def connect(self) -> Inner:
        self.deliver(self.start())
        self.deliver(self.answer())
        self.take()
        return self.inner

    def read(self) -> bytes:
        self.take()
        return self.client.read(100_000)

    def sealed(self, data: bytes) -> bytes:
        """The records for it."""
        self.client.write(data)
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        self.deliver(self.sealed(data))

    def goodbye(self) -> bytes:
        """The client's close_notify."""
        with contextlib.suppress(ssl.SSLError):  # it waits for ours
            self.client.unwrap()
        return self._outgoing.read()

    def end(self) -> None:
        """Give back what the operating system lent."""


class Wire(StringTransport):
    """The TCP connection under Twisted's TLS, as the server has it."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class InMemory(Conversation):
    """Over Twisted's TLS."""

    def __init__(self, name: str | None = "prod.example.com") -> None:
        super().__init__(name)
        self.clock = Clock()
        self.peer = IPv4Address("TCP", "192.0.2.1", 4711)
        factory = twisted_ends.server_factory(CONTEXTS, self._build, handshake_timeout=TIMEOUT, clock=self.clock)
        self.outer: Any = factory.buildProtocol(self.peer)
        self.wire = Wire(peerAddress=self.peer)
        self.outer.makeConnection(self.wire)

    def deliver(self, data: bytes) -> None:
        self.outer.dataReceived(data)

    def take(self) -> None:
        self._incoming.write(self.wire.value())
        self.wire.clear()

    def cut(self) -> None:
        self.outer.connectionLost(Failure(ConnectionDone()))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @property
    def closed(self) -> bool:
        return self.wire.disconnecting and not self.wire.aborted

    @property
    def aborted(self) -> bool:
        return self.wire.aborted


class Turns(Clock):
    """A reactor for sockets that turns only when told."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def turn(self, wait: float = 0.02) -> bool:
        """One turn; whether anything was to be done."""
        self.advance(0)
        if not self.readers and not self.writers:
            return False
        readable, writable, _ = select.select(self.readers, self.writers, [], wait)
        for reader in readable:
            if reader in self.readers:
                reader.doRead()
        for writer in writable:
            if writer in self.writers:
                writer.doWrite()
        self.advance(0)
        return bool(readable or writable)

    def settle(self, wait: float = 0.02) -> None:
        """Until there is nothing left to do. Loopback delivers at once, but not quite."""
        while self.turn(wait):
            pass


class Accepted:
    """What Twisted makes of an accepted socket, as far as the transport under the seam wants to know."""

    def __init__(self, plain: socket.socket, peer: IPv4Address, reactor: Turns) -> None:
        plain.setblocking(False)
        self._plain = plain
        self._peer = peer
        self.reactor = reactor

    def stopReading(self) -> None:
        pass

    def getHandle(self) -> socket.socket:
        return self._plain

    def getPeer(self) -> IPv4Address:
        return self._peer


class OnSocket(Conversation):
    """Over our own transport."""

    def __init__(self, name: str | None = "prod.example.com", *, kernel: int = SMALL) -> None:
        super().__init__(name)
        self.clock = self.reactor = Turns()
        self.plain, server = connected(kernel)
        self.peer = IPv4Address("TCP", *self.plain.getsockname())
        self._end: type[BaseException] | None = None
        factory = accepting.server_factory(CONTEXTS, self._build, handshake_timeout=TIMEOUT, clock=self.reactor)
        protocol: Any = factory.buildProtocol(self.peer)
        protocol.makeConnection(Accepted(server, self.peer, self.reactor))

    def deliver(self, data: bytes) -> None:
        self.put(data)
        self.reactor.settle()

    def put(self, data: bytes) -> None:
        """These bytes reach the server's kernel; the server sleeps."""
        self.plain.setblocking(True)
        self.plain.sendall(data)

    def take(self, wait: float = 0.02) -> None:
        self.reactor.settle(wait)
        self.plain.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while data := self._receive():
                self._incoming.write(data)
                self.reactor.settle(0)

    def _receive(self) -> bytes:
        try:
            data = self.plain.recv(65536)
        except ConnectionResetError:
            self._end = ConnectionResetError
            return b""
        if not data:
            self._end = self._end or EOFError
        return data

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.plain.shutdown(socket.SHUT_WR)
        self.reactor.settle()

    def reset(self) -> None:
        """The client's RST reaches the server."""
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.plain.close()
        self.reactor.settle()

    def advance(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.reactor.settle()

    @property
    def closed(self) -> bool:
        self.take()
        return self._end is EOFError

    @property
    def aborted(self) -> bool:
        self.take()
        return self._end is ConnectionResetError

    def end(self) -> None:
        self.plain.close()
        for descriptor in self.reactor.readers | self.reactor.writers:
            descriptor.connectionLost(Failure(ConnectionDone()))


def connected(kernel: int) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


KINDS: dict[str, type[Conversation]] = {"socket": OnSocket, "twisted": InMemory}
