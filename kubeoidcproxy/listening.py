"""The sockets that clients connect to: bound by us, or by systemd before us."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from kubeoidcproxy.config.listen import SystemdSocket, TCPAddress

BACKLOG = 1024  # a restart of many CI runners comes at once

LISTENING = "listening on {address}"


class ListeningSockets:
    """All sockets of ``listen``.

    :param reactor: binds and adopts.
    :param factory: speaks TLS on what connects.
    :param keep_alive: seconds of silence after which TCP probes a peer; 0 = never.
    """

    _log = Logger()

    def __init__(self, reactor: Any, factory: IProtocolFactory, *, keep_alive: float) -> None:
        self._reactor = reactor
        self._factory = factory
        self._keep_alive = keep_alive
        self.ports: list[Any] = []

    def open(self, addresses: Sequence[TCPAddress | SystemdSocket]) -> None:
        """Bind all, or none.

        :raises twisted.internet.error.CannotListenError: an address is in use or not ours.
        :raises OSError: systemd passed no socket of that name, or a host name has no address.
        """
        for address in addresses:
            port = self._adopt(address) if isinstance(address, SystemdSocket) else self._bind(address)
            set_socket_options(port.socket, self._keep_alive)
            self.ports.append(port)

    def announce(self) -> None:
        """One line for each socket, in the order of ``listen``."""
        for port in self.ports:
            self._log.info(LISTENING, address=shown(port))

    async def close(self) -> None:
        """Accept no more."""
        ports, self.ports = self.ports, []
        await DeferredList([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)

    def _bind(self, address: TCPAddress) -> Any:
        return self._reactor.listenTCP(
            address.port, self._factory, backlog=BACKLOG, interface=numeric_host(address.host)
        )

    def _adopt(self, address: SystemdSocket) -> Any:
        try:
            endpoint: Any = serverFromString(self._reactor, f"systemd:domain=INET:name={address.name}")
        except KeyError:
            raise OSError(f"systemd passed no socket with FileDescriptorName={address.name}") from None
        with socket.socket(fileno=os.dup(endpoint.fileno)) as passed:
            family = passed.family  # systemd's ListenStream=8443 is one IPv6 socket for both; Twisted must be told
            passed.setblocking(False)  # of what both descriptors share; NonBlocking= is off by default
        return self._reactor.adoptStreamPort(endpoint.fileno, family, self._factory)


def numeric_host(host: str) -> str:
    """An address for a host: Twisted binds addresses only. "" is every IPv4 address.

    :raises OSError: the name has no address.
    """
    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]) if host else ""


def set_socket_options(listening: socket.socket, keep_alive: float) -> None:
    """Options of a listening socket; Linux hands them on to every socket accepted from it.

    Without TCP_NODELAY an event of a watch may wait 40 ms for the ACK of the one before (Nagle and delayed ACK).
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keep_alive:
        seconds = max(1, round(keep_alive))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)


def shown(port: Any) -> str:
    """ADDRESS:PORT of a bound port."""
    bound = port.getHost()
    host = f"[{bound.host}]" if ":" in bound.host else bound.host
    return f"{host}:{bound.port}"
