"""Sockets that clients connect to: ours and systemd's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from kubeoidcproxy import listening as module
from kubeoidcproxy.config.listen import SystemdSocket, TCPAddress
from kubeoidcproxy.limits import RESERVED, ConnectionLimits, Turnstile
from kubeoidcproxy.listening import CountedSocket, Entrance, ListeningSockets, numeric_host, shown


def sockets(keep_alive: float = 30.0, turnstile: Turnstile | None = None) -> ListeningSockets:
    turnstile = turnstile or Turnstile(ConnectionLimits())
    entrance = Entrance(reactor, Factory.forProtocol(Greeting), turnstile, lambda: 0)
    return ListeningSockets(reactor, entrance, keep_alive=keep_alive)


class Greeting(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(b"hello")  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_every_address_is_bound_and_closed() -> None:
    listening = sockets()
    listening.open([TCPAddress("127.0.0.1", 0), TCPAddress("localhost", 0)])
    ports = listening.ports
    assert len(ports) == 2
    assert all(shown(port).startswith(("127.0.0.1:", "[::1]:")) for port in ports)
    await listening.close()
    assert not listening.ports


@pytest_twisted.ensureDeferred
async def test_what_is_accepted_inherits_keep_alive_and_no_delay() -> None:
    """Linux hands them on; a watch's event must not wait for an ACK."""
    listening = sockets(keep_alive=17.0)
    listening.open([TCPAddress("127.0.0.1", 0)])
    bound: Any = listening.ports[0].socket
    assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 17
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_keep_alive_0_is_off() -> None:
    listening = sockets(keep_alive=0.0)
    listening.open([TCPAddress("127.0.0.1", 0)])
    assert not listening.ports[0].socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_an_address_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listening = sockets()
        with pytest.raises(CannotListenError):
            listening.open([TCPAddress("127.0.0.1", taken.getsockname()[1])])
        await listening.close()


@pytest_twisted.ensureDeferred
async def test_a_name_that_systemd_did_not_pass_is_an_error() -> None:
    listening = sockets()
    with pytest.raises(OSError, match="https"):
        listening.open([SystemdSocket("https")])


@pytest_twisted.ensureDeferred
async def test_keep_alive_may_change_while_listening() -> None:
    listening = sockets(keep_alive=17.0)
    listening.open([TCPAddress("127.0.0.1", 0)])
    bound: Any = listening.ports[0].socket
    listening.probe_peers(23.0)
    assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 23
    listening.probe_peers(0.0)
    assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    await listening.close()


# Who may come in.


async def greeted(listening: ListeningSockets) -> tuple[socket.socket, bytes]:
    """A connection, and what it hears: "hello", or the end. The reactor runs meanwhile."""
    client = socket.create_connection(listening.ports[0].socket.getsockname(), timeout=10)
    return client, await deferToThread(client.recv, 100)


async def until(condition: Callable[[], bool]) -> None:
    """The reactor runs until the condition holds."""
    for _ in range(2000):
        if condition():
            return
        await deferLater(reactor, 0.005)  # type: ignore[arg-type]
    raise AssertionError("waited in vain")


@pytest_twisted.ensureDeferred
async def test_who_is_over_the_limit_is_closed_at_once_until_somebody_leaves() -> None:
    turnstile = Turnstile(ConnectionLimits(total=2))
    listening = sockets(turnstile=turnstile)
    listening.open([TCPAddress("127.0.0.1", 0)])
    (first, heard), (second, as_well) = await greeted(listening), await greeted(listening)
    assert (heard, as_well) == (b"hello", b"hello")
    third, nothing = await greeted(listening)
    assert (nothing, turnstile.inside, turnstile.refused) == (b"", 2, 1)
    first.close()
    await until(lambda: turnstile.inside == 1)
    fourth, heard = await greeted(listening)
    assert heard == b"hello"
    for client in (second, third, fourth):
        client.close()
    await until(lambda: turnstile.inside == 0)
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_when_descriptors_run_low_who_comes_waits_and_is_served_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not refused: nobody is at fault. Who is in is served meanwhile."""
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(module.resource, "getrlimit", lambda which: (RESERVED + 4, RESERVED + 4))
    turnstile = Turnstile(ConnectionLimits())
    listening = sockets(turnstile=turnstile)
    listening.open([TCPAddress("127.0.0.1", 0)])
    (first, _), (second, _) = await greeted(listening), await greeted(listening)
    third = socket.create_connection(listening.ports[0].socket.getsockname(), timeout=10)
    await deferLater(reactor, 0.1)  # type: ignore[arg-type]
    assert (turnstile.inside, turnstile.refused) == (2, 0)
    first.close()
    assert await deferToThread(third.recv, 100) == b"hello"
    for client in (second, third):
        client.close()
    await until(lambda: turnstile.inside == 0)
    await listening.close()


def test_a_counted_socket_tells_once_that_it_is_closed() -> None:
    told: list[str] = []
    near, far = socket.socketpair()
    counted = CountedSocket(near, lambda: told.append("closed"))
    far.sendall(b"x")
    assert counted.recv(1) == b"x"
    counted.close()
    counted.close()
    assert told == ["closed"]
    assert far.recv(1) == b""
    far.close()


def test_a_counted_socket_that_is_forgotten_is_closed_and_tells_so() -> None:
    told: list[str] = []
    near, far = socket.socketpair()
    CountedSocket(near, lambda: told.append("closed"))
    assert told == ["closed"]
    assert far.recv(1) == b""
    far.close()


def test_a_host_is_an_address() -> None:
    assert numeric_host("127.0.0.1") == "127.0.0.1"
    assert numeric_host("::1") == "::1"
    assert numeric_host("") == ""


ACTIVATED = """
    import os, sys
    os.dup2(int(os.environ["PASSED"]), 3)
    os.environ["LISTEN_PID"] = str(os.getpid())
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol
    from kubeoidcproxy.config.listen import SystemdSocket
    from kubeoidcproxy.limits import ConnectionLimits, Turnstile
    from kubeoidcproxy.listening import Entrance, ListeningSockets, shown

    class Greeting(Protocol):
        def connectionMade(self):
            self.transport.write(b"hello")
            self.transport.loseConnection()

    entrance = Entrance(reactor, Factory.forProtocol(Greeting), Turnstile(ConnectionLimits()), lambda: 0)
    sockets = ListeningSockets(reactor, entrance, keep_alive=0.0)
    sockets.open([SystemdSocket("https")])
    print(shown(sockets.ports[0]), flush=True)
    reactor.run()
"""


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_socket_of_systemd_is_adopted_whatever_its_family(family: socket.AddressFamily, host: str) -> None:
    """LISTEN_FDS and LISTEN_FDNAMES, as sd_listen_fds(3) has them: the first passed descriptor is 3."""
    with socket.create_server((host, 0), family=family) as passed:
        port = passed.getsockname()[1]
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ACTIVATED)],
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "https", "PASSED": str(passed.fileno())},
            pass_fds=[passed.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline().strip().endswith(f":{port}")
            with socket.create_connection((host, port), timeout=10) as client:
                assert client.recv(100) == b"hello"
        finally:
            child.kill()
            child.communicate()
