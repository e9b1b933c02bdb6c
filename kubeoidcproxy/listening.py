"""The sockets that clients connect to: bound by us, or by systemd before us; and who may come in."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.tcp import Server
from twisted.logger import Logger
from zope.interface import implementer

from kubeoidcproxy.config.listen import SystemdSocket, TCPAddress
from kubeoidcproxy.exchange import plain_address
from kubeoidcproxy.limits import Turnstile, most_clients

BACKLOG = 1024  # a restart of many CI runners comes at once
BATCH = 20  # Twisted takes at most twice as many connections in one turn; RESERVED has room for them
LOOK_AGAIN = 1.0  # seconds; no line of the log more often than that, however hard we are pressed

LISTENING = "listening on {address}"
PAUSED = "accepting no connections: {clients} clients are all that {descriptors} file descriptors allow (LimitNOFILE)"
RESUMED = "accepting connections again"


class ListeningSockets:
    """All sockets of ``listen``.

    :param reactor: binds and adopts.
    :param entrance: what becomes of what connects.
    :param keep_alive: seconds of silence after which TCP probes a peer; 0 = never.
    """

    _log = Logger()

    def __init__(self, reactor: Any, entrance: Entrance, *, keep_alive: float) -> None:
        self._reactor = reactor
        self._entrance = entrance
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
            self._entrance.serve(port)
            self.ports.append(port)

    def probe_peers(self, keep_alive: float) -> None:
        """Another ``keep_alive``, for what connects from now on."""
        self._keep_alive = keep_alive
        for port in self.ports:
            set_socket_options(port.socket, keep_alive)

    def announce(self) -> None:
        """One line for each socket, in the order of ``listen``."""
        for port in self.ports:
            self._log.info(LISTENING, address=shown(port))

    async def close(self) -> None:
        """Accept no more."""
        self._entrance.close()
        ports, self.ports = self.ports, []
        await DeferredList([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)

    def _bind(self, address: TCPAddress) -> Any:
        return self._reactor.listenTCP(
            address.port, self._entrance, backlog=BACKLOG, interface=numeric_host(address.host)
        )

    def _adopt(self, address: SystemdSocket) -> Any:
        try:
            endpoint: Any = serverFromString(self._reactor, f"systemd:domain=INET:name={address.name}")
        except KeyError:
            raise OSError(f"systemd passed no socket with FileDescriptorName={address.name}") from None
        with socket.socket(fileno=os.dup(endpoint.fileno)) as passed:
            family = passed.family  # systemd's ListenStream=8443 is one IPv6 socket for both; Twisted must be told
            passed.setblocking(False)  # of what both descriptors share; NonBlocking= is off by default
        return self._reactor.adoptStreamPort(endpoint.fileno, family, self._entrance)


@implementer(IProtocolFactory)
class Entrance:
    """Stands before the factory that speaks TLS: nothing was read yet, not a handshake begun.

    Who is over a limit is closed at once. When there would soon be no file descriptor for one more client, nobody is
    accepted: who comes then waits in the kernel's queue, and those who are in are served.

    :param factory: speaks TLS on what connects; may be exchanged while running (reload).
    :param idle_upstream: how many connections to API servers wait for a client.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, factory: IProtocolFactory, turnstile: Turnstile, idle_upstream: Callable[[], int]
    ) -> None:
        self.factory = factory
        self._reactor = reactor
        self._turnstile = turnstile
        self._idle_upstream = idle_upstream
        self._ports: list[Any] = []
        self._look: Any = None

    def serve(self, port: Any) -> None:
        """Connections of this port come in here."""
        port.numberAccepts = BATCH
        port.transport = self._counted
        self._ports.append(port)

    def close(self) -> None:
        """Its ports are about to stop: pause and resume nothing more."""
        self._ports = []
        if self._look is not None:
            self._look.cancel()
            self._look = None

    # IProtocolFactory, and the factory of transports that a port calls next.

    def doStart(self) -> None:
        """The factories behind keep no count of their ports."""

    def doStop(self) -> None:
        """As little as doStart."""

    def buildProtocol(self, address: IAddress) -> IProtocol | None:
        if not self._turnstile.enter(plain_address(address.host)):  # type: ignore[attr-defined]
            return None
        self._pause_if_full()
        return self.factory.buildProtocol(address)

    def _counted(self, plain: socket.socket, protocol: Any, peer: tuple[Any, ...], port: Any, *rest: Any) -> Server:
        port.numberAccepts = BATCH  # Twisted makes it larger each time that it does not suffice
        leave = partial(self._turnstile.leave, plain_address(peer[0]))
        return Server(CountedSocket(plain, leave), protocol, peer, port, *rest)

    # File descriptors.

    def _room(self) -> tuple[int, int]:
        """How many clients more, of how many in all."""
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # each time: prlimit(1) may change it
        most = most_clients(descriptors, self._idle_upstream())
        return most - self._turnstile.inside, most

    def _pause_if_full(self) -> None:
        if self._look is None and self._ports and self._room()[0] <= 0:
            descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            self._log.warn(PAUSED, clients=self._turnstile.inside, descriptors=descriptors)
            for port in self._ports:
                port.stopReading()
            self._look = self._reactor.callLater(LOOK_AGAIN, self._resume_if_room)

    def _resume_if_room(self) -> None:
        room, most = self._room()
        if room <= most // 16:  # a little more than one, or the next turn would pause again
            self._look = self._reactor.callLater(LOOK_AGAIN, self._resume_if_room)
            return
        self._look = None
        self._log.info(RESUMED)
        for port in self._ports:
            port.startReading()


class CountedSocket(socket.socket):
    """Takes a socket over, and tells when it is closed.

    That, and no protocol's ``connectionLost``, is the end of a connection whoever speaks TLS on it, and whether or not
    a handshake was ever over.
    """

    __slots__ = ("_on_close",)

    def __init__(self, plain: socket.socket, on_close: Callable[[], None]) -> None:
        self._on_close: Callable[[], None] | None = on_close
        family, kind, number = plain.family, plain.type, plain.proto
        super().__init__(family, kind, number, plain.detach())

    def close(self) -> None:
        super().close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __del__(self) -> None:
        self.close()


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
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(keep_alive))
    if keep_alive:
        seconds = max(1, round(keep_alive))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)


def shown(port: Any) -> str:
    """ADDRESS:PORT of a bound port."""
    bound = port.getHost()
    host = f"[{bound.host}]" if ":" in bound.host else bound.host
    return f"{host}:{bound.port}"
