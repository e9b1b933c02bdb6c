"""Connected TCP sockets: taken over from Twisted, set up, described, closed."""

from __future__ import annotations

import contextlib
import socket
import struct
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Protocol

from kubeoidcproxy.tls.readiness import shared_readiness

Address = IPv4Address | IPv6Address

_NONE = b"\0\0\0\0"
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, for no time


class Detachment(Protocol):
    """A protocol that takes the socket away from the transport that Twisted made for it.

    Before its first read nothing of that transport is alive but its place in the reactor.
    """

    def makeConnection(self, transport: Any) -> None:
        transport.stopReading()
        self.taken(transport.getHandle(), transport.getPeer(), transport.reactor)

    def taken(self, plain: socket.socket, peer: Address, reactor: Any) -> None:
        """The socket is ours, unread."""
        raise NotImplementedError


class SocketDescriptor(FileDescriptor):
    """What every TCP transport has, whatever it speaks.

    :param plain: the connected socket, from now on the transport's own.
    """

    reactor: Any
    producer: Any

    def __init__(self, plain: socket.socket, peer: Address, reactor: Any) -> None:
        super().__init__(shared_readiness(reactor))
        self.fileno = plain.fileno  # type: ignore[method-assign]
        self.connected = 1
        self._socket = plain
        self._peer = peer

    def startReading(self) -> None:
        self.reactor.addReader(self)

    def stopReading(self) -> None:
        self.reactor.removeReader(self)

    def startWriting(self) -> None:
        self.reactor.addWriter(self)

    def stopWriting(self) -> None:
        self.reactor.removeWriter(self)

    def getPeer(self) -> Address:
        return self._peer

    def getHost(self) -> Address:
        kind = IPv6Address if self._socket.family == socket.AF_INET6 else IPv4Address
        return kind("TCP", *self._socket.getsockname())

    def getTcpNoDelay(self) -> bool:
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def has_unread(self) -> bool:
        """Whether the kernel holds bytes for us."""
        return ioctl(self._socket, FIONREAD, _NONE) != _NONE

    def cork(self, stuffed: bool) -> None:
        """Let the kernel make whole segments of many writes (tcp(7), TCP_CORK), until it is pulled."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, stuffed)

    def close(self, *, reset: bool) -> None:
        """Give the socket back: with a FIN, or with a RST that drops what the kernel still holds."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif self.has_unread():
            # Unread bytes turn the FIN into a RST (RFC 1122 §4.2.2.13), and the peer may lose our last alert.
            with contextlib.suppress(OSError):
                self._socket.recv(65536)
        self._socket.close()


def set_client_options(plain: socket.socket, keep_alive: float) -> None:
    """No delay, and after so many seconds of silence a probe (0 = never)."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keep_alive:
        seconds = max(1, round(keep_alive))
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
