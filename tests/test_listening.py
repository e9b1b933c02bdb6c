"""Sockets that clients connect to: ours and systemd's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol

from kubeoidcproxy.config.listen import SystemdSocket, TCPAddress
from kubeoidcproxy.listening import ListeningSockets, numeric_host, shown


def sockets(keep_alive: float = 30.0) -> ListeningSockets:
    return ListeningSockets(reactor, Factory.forProtocol(Protocol), keep_alive=keep_alive)


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
    from kubeoidcproxy.listening import ListeningSockets, shown

    class Greeting(Protocol):
        def connectionMade(self):
            self.transport.write(b"hello")
            self.transport.loseConnection()

    sockets = ListeningSockets(reactor, Factory.forProtocol(Greeting), keep_alive=0.0)
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
