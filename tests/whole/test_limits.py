"""How many connections, how long what may take, and what happens when file descriptors run out."""

from __future__ import annotations

import re
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from whole import flood
from whole.asking import ask, await_true, end_kept_connections, head, new_target, number
from whole.client import closing, context
from whole.daemon import A, Config, Daemon, ProxiedClusters
from whole.upstream import CLOSED, PATIENCE, answer, switch_and_echo

from kubeoidcproxy.limits import most_clients

TLS_HANDSHAKE = 22  # RFC 8446 section 5.1
LISTEN, KEEP_ALIVE = "0A", "02:"  # a state and a timer of /proc/net/tcp (linux/tcp_states.h, tcp_ipv4.c)
SHORT = 1.0  # seconds: the times of the daemon that is in a hurry
# A deadline is looked at once a second, and a busy machine is late.
LATE = 6.0
IN_TIME = 5.0  # seconds, for what takes 10 ms on a machine with nothing else to do
MOST_MEMORY = 100 * 1024  # for a client that has not finished a request


def running(folder: Path, limits: Config) -> ProxiedClusters:
    return ProxiedClusters(folder, limits=limits, access_log="json").start()


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[[Config], ProxiedClusters]]:
    """Starts a daemon with these limits."""
    started: list[ProxiedClusters] = []

    def start(limits: Config) -> ProxiedClusters:
        started.append(running(tmp_path, limits))
        return started[-1]

    yield start
    for clusters in started:
        clusters.stop()


def connect(daemon: Daemon, source: str = "127.0.0.1") -> socket.socket:
    """TCP alone."""
    return socket.create_connection(daemon.address, timeout=PATIENCE, source_address=(source, 0))


def hello(server_name: str = A) -> bytes:
    """The first flight of a handshake."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name).do_handshake()
    return outgoing.read()


def handshake(tcp: socket.socket, clusters: ProxiedClusters) -> ssl.SSLSocket:
    return context(clusters.authority.pem).wrap_socket(tcp, server_hostname=A)


def is_refused(tcp: socket.socket) -> bool:
    """Closed by the daemon, without a word."""
    with suppress(ConnectionResetError):
        return tcp.recv(1) == b""
    return True


def is_served(tcp: socket.socket, clusters: ProxiedClusters) -> bool:
    with handshake(tcp, clusters) as tls:
        tls.sendall(head("/version"))
        return tls.recv(65536).startswith(b"HTTP/1.1 200")


def is_kept(tcp: socket.socket) -> bool:
    """Who says nothing hears nothing."""
    return not select.select([tcp], [], [], 0.3)[0]


# How many.


def test_connections_are_counted_before_anything_is_read(limited: Callable[[Config], ProxiedClusters]) -> None:
    """Silent ones, handshakes and served ones are one and the same number; who is over it is closed at once. A reload
    changes the limits for who comes next; who leaves makes room."""
    clusters = limited({"maxConnectionsPerAddress": 3, "maxConnections": 5})
    daemon = clusters.daemon
    with ExitStack() as stack:
        silent = stack.enter_context(connect(daemon))
        stack.enter_context(connect(daemon)).sendall(hello()[:100])
        assert stack.enter_context(closing(clusters.connect())).request(head("/version")).status == 200
        assert is_refused(stack.enter_context(connect(daemon)))  # a fourth of one address
        others = [stack.enter_context(connect(daemon, "127.0.0.2")) for _ in range(2)]
        stack.enter_context(handshake(others[0], clusters))
        assert is_refused(stack.enter_context(connect(daemon, "127.0.0.3")))  # a sixth of all
        assert number(daemon, "connections_refused_total") == 2

        size = daemon.stdout.size
        clusters.config["limits"] |= {"maxConnectionsPerAddress": 4, "maxConnections": 6}
        clusters.write_config()
        daemon.signal(signal.SIGHUP)
        daemon.stdout.wait_for("configuration reloaded", since=size)
        assert is_kept(stack.enter_context(connect(daemon)))
        assert is_refused(stack.enter_context(connect(daemon, "127.0.0.5")))

        silent.close()
        await_true(lambda: inside(daemon) == 5, "the leaving of one")
        assert is_served(stack.enter_context(connect(daemon, "127.0.0.5")), clusters)


def inside(daemon: Daemon) -> int:
    """TCP connections that the daemon has with clients."""
    port = f":{daemon.address[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[1].endswith(port) and fields[3] != LISTEN and fields[9] != "0" for fields in lines)


# How long.


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedClusters]:
    short = f"{SHORT:g}s"
    limits = {"handshakeTimeout": short, "headTimeout": short, "idleTimeout": short}
    clusters = running(tmp_path_factory.mktemp("hasty"), limits)
    try:
        yield clusters
    finally:
        clusters.stop()


def seconds_until_end(daemon: Daemon, trickled: bytes) -> float:
    """How long the daemon keeps a connection on which one byte comes each tenth of a second."""
    began = time.monotonic()
    rest = iter(trickled)
    with connect(daemon) as tcp:
        while not select.select([tcp], [], [], 0.1)[0]:
            assert time.monotonic() - began < PATIENCE
            byte = next(rest, None)
            if byte is not None:
                tcp.sendall(bytes([byte]))
        assert is_refused(tcp)
    return time.monotonic() - began


@pytest.mark.parametrize("trickled", [b"", hello()], ids=["silent", "byte by byte"])
def test_a_handshake_has_its_time(trickled: bytes, hasty: ProxiedClusters) -> None:
    """handshakeTimeout runs from the first byte of TCP on, however steadily a hello trickles."""
    assert SHORT <= seconds_until_end(hasty.daemon, trickled) < SHORT + LATE


def test_the_first_request_is_waited_for_as_long_as_any(hasty: ProxiedClusters) -> None:
    """idleTimeout runs from the end of the handshake on; no bytes are sent at its end, but a clean close."""
    began = time.monotonic()
    with closing(hasty.connect()) as client:
        assert client.end() == CLOSED
        assert SHORT <= time.monotonic() - began < SHORT + LATE
        assert not client.received


def test_keep_alive_has_its_time_after_each_request_and_streams_have_none(hasty: ProxiedClusters) -> None:
    """idleTimeout begins again with the end of each answer, whether the API server gave it or we did. A tunnel in which
    nobody speaks is not idle."""
    upstream = hasty.upstreams["a"]
    with ExitStack() as stack:
        tunnel, served, refused = (stack.enter_context(closing(hasty.connect())) for _ in range(3))
        upstream.reply = switch_and_echo("websocket")
        assert tunnel.request(head("/exec", "Connection: Upgrade", "Upgrade: websocket")).status == 101
        upstream.reply = answer
        for _ in range(8):
            time.sleep(SHORT * 0.3)
            began = time.monotonic()
            assert served.request(head("/version")).status == 200
            assert refused.request(head("/version", bearer="nobody")).status == 401
        for client in (served, refused):
            assert client.end() == CLOSED
            assert SHORT <= time.monotonic() - began < SHORT + LATE
        tunnel.send(b"still here")
        tunnel.hear(b"still here")


def test_a_head_has_its_time(hasty: ProxiedClusters) -> None:
    """headTimeout runs from the first byte of a head, of a second one, too: 408 and a close."""
    with closing(hasty.connect()) as client:
        assert client.request(head("/version")).status == 200
        began = time.monotonic()
        client.send(head("/version")[:40])
        answered = client.answer()
        assert (answered.status, answered.values("Connection")) == (408, ["close"])
        assert SHORT <= time.monotonic() - began < SHORT + LATE
        assert client.end() == CLOSED


def test_an_api_server_that_is_gone_without_a_word_is_noticed(hasty: ProxiedClusters) -> None:
    """streams.tcpKeepAlive holds on both sides: a watch may be silent for hours, and its API server be long gone."""
    port = f":{hasty.upstreams['a'].port:04X}"

    def probed() -> bool:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(fields[2].endswith(port) and fields[5].startswith(KEEP_ALIVE) for fields in lines)

    assert ask(hasty, head("/version")).status == 200
    await_true(probed, "a keep-alive timer")


# A flood.


def test_a_flood_of_silent_and_slow_connections_leaves_others_served(
    limited: Callable[[Config], ProxiedClusters],
) -> None:
    """1500 connections that say nothing, or trickle a hello, or a head, all the time: others are served in time, and
    each of the 1500 takes little memory."""
    if 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
        pytest.skip("a flood needs 4096 file descriptors")
    clusters = limited({"handshakeTimeout": "120s", "headTimeout": "120s"})
    daemon = clusters.daemon
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    assert ask(clusters, head("/version")).status == 200
    memory = daemon.resident()
    script = str(Path(__file__).with_name("flood.py"))
    command = [sys.executable, script, str(daemon.address[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as flooding:
        assert flooding.stdin is not None
        assert flooding.stdout is not None
        assert flooding.stdout.readline() == b"ready\n"
        slowest = max(seconds_to_be_served(clusters) for _ in range(50))
        assert number(daemon, "client_connections") >= flood.IN_THE_HEAD
        assert daemon.open_files() > flood.ALL
        assert daemon.resident() - memory < flood.ALL * MOST_MEMORY
        flooding.stdin.close()
    assert slowest < IN_TIME
    assert number(daemon, "connections_refused_total") == 0


def seconds_to_be_served(clusters: ProxiedClusters) -> float:
    began = time.monotonic()
    assert ask(clusters, head("/version")).status == 200
    return time.monotonic() - began


# File descriptors.

DESCRIPTORS = 220


def test_accepting_pauses_before_descriptors_run_out(limited: Callable[[Config], ProxiedClusters]) -> None:
    """Accepting pauses while there is still a descriptor for everybody who is in, streams and all; they are served
    meanwhile, who comes waits, and is served when somebody has left. The log says so; no EMFILE anywhere."""
    clusters = limited({})
    daemon, upstream = clusters.daemon, clusters.upstreams["a"]
    assert ask(clusters, head("/version")).status == 200
    await_true(lambda: number(daemon, "client_connections") == 0, "quiet")
    end_kept_connections(clusters, "a", "b", "c")
    most = most_clients(DESCRIPTORS, idle_upstream=0)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    upstream.reply = switch_and_echo("websocket")
    with ExitStack() as stack:
        tunnels = [stack.enter_context(closing(clusters.connect())) for _ in range(most)]
        for tunnel in tunnels:
            raw = head(new_target(), "Connection: Upgrade", "Upgrade: websocket")
            assert tunnel.request(raw).status == 101
        daemon.stdout.wait_for(f"accepting no connections: {most} clients are all that {DESCRIPTORS} ")
        waiting = [stack.enter_context(connect(daemon)) for _ in range(100)]
        waiting[0].sendall(hello())
        for tunnel in tunnels:
            tunnel.send(b"ping")
            tunnel.hear(b"ping")
        assert not select.select([waiting[0]], [], [], 0.2)[0]
        assert most * 2 < daemon.open_files() < DESCRIPTORS
        for tunnel in tunnels[:10]:
            tunnel.reset()
        assert select.select([waiting[0]], [], [], PATIENCE)[0]
        assert waiting[0].recv(5)[0] == TLS_HANDSHAKE
        assert daemon.open_files() < DESCRIPTORS
        tunnels[-1].send(b"still here")
        tunnels[-1].hear(b"still here")
    upstream.reply = answer
    assert ask(clusters, head("/version")).status == 200
    assert number(daemon, "connections_refused_total") == 0
    assert not re.search("EMFILE|Too many open files|Errno 24", daemon.output)

    def lines(text: str) -> int:
        return daemon.output.count(text)

    await_true(lambda: lines("accepting no connections") == lines("accepting connections again"), "as many lines")
    assert lines("accepting no connections") < 5
