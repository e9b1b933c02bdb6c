"""A peer that stalls costs next to nothing, on whichever side it is, and its transfer goes on where it stood."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from whole.asking import ask, await_quiet, head
from whole.client import Client
from whole.daemon import ProxiedClusters
from whole.upstream import OK, PATIENCE, PeerLeft, Request, UpstreamConnection

MIB = 1024 * 1024
BLOCK = bytes(range(251)) * 1044  # 256 KiB less a little: 251 is prime, so that a piece lost or doubled shows
SIZE = int(os.environ.get("KUBEOIDCPROXY_TRANSFER_MIB", "256")) * MIB // len(BLOCK) * len(BLOCK)
STALLED = 30  # connections at once
MOST = 256 * 1024  # bytes of memory for each, buffers of both connections, TLS and Python's own objects included
QUIET = 0.3  # seconds without a byte on any connection: all have stalled

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Transfer:
    """One direction of one exchange: the sender sends for as long as it may, the receiver stalls until it is told."""

    def __init__(self) -> None:
        self.sent = 0
        self.go_on = threading.Event()
        self.intact = False
        self.over = threading.Event()

    def send(self, send: Callable[[bytes], None]) -> None:
        while self.sent < SIZE:
            send(BLOCK)
            self.sent += len(BLOCK)

    def receive(self, read: Callable[[int], bytes]) -> None:
        """:param read: gives at most so many bytes, and b"" at the end."""
        self.go_on.wait()
        taken, expected = 0, BLOCK + BLOCK
        while taken < SIZE:
            piece = read(min(len(BLOCK), SIZE - taken))
            at = taken % len(BLOCK)
            if not piece or piece != expected[at : at + len(piece)]:
                break
            taken += len(piece)
        self.intact = taken == SIZE
        self.over.set()


def read_upstream(connection: UpstreamConnection) -> Callable[[int], bytes]:
    """What came with the head, then straight from the socket: recording it all would take this process's memory."""
    early = bytearray(connection._buffer)
    connection._buffer.clear()

    def read(most: int) -> bytes:
        piece = bytes(early[:most])
        del early[:most]
        return piece or connection._tls.recv(most)  # type: ignore[union-attr]

    return read


class Exchange:
    """A client and the upstream's end of its request."""

    def __init__(self, clusters: ProxiedClusters, kind: str) -> None:
        self.client: Client = clusters.connect()
        self.client.tls.setblocking(True)
        self.client.tls.settimeout(None)
        self.transfer = Transfer()
        self._kind = kind
        self._threads: list[threading.Thread] = []
        clusters.upstreams["a"].reply = self.reply
        method, fields = {
            "download": ("GET", ()),
            "upload": ("PUT", (f"Content-Length: {SIZE}",)),
        }.get(kind, ("GET", UPGRADE))
        self.begun = threading.Event()
        self.client.tls.sendall(head("/api/v1/namespaces/d/pods/x/exec", *fields, method=method))
        assert self.begun.wait(PATIENCE)
        if kind != "upload":
            self._read_head()
        if kind in ("download", "tunnel down"):
            self._start(self.transfer.receive, self.client.tls.recv)
        else:
            self._start(self.transfer.send, self.client.tls.sendall)

    def reply(self, connection: UpstreamConnection, request: Request) -> None:
        connection.recording = False
        self.begun.set()
        try:
            if self._kind == "download":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
                self.transfer.send(connection.send)
            elif self._kind == "upload":
                self.transfer.receive(read_upstream(connection))
                request.complete = True
                connection.send(OK)
            else:
                connection.send(SWITCH)
                way = self.transfer.send if self._kind == "tunnel down" else self.transfer.receive
                way(connection.send if self._kind == "tunnel down" else read_upstream(connection))  # type: ignore[arg-type]
        except OSError:
            raise PeerLeft from None

    def _read_head(self) -> None:
        seen = b""
        while not seen.endswith(b"\r\n\r\n"):
            seen += self.client.tls.recv(1)

    def _start(self, target: Callable[..., None], argument: Callable[..., object]) -> None:
        def run() -> None:
            with suppress(OSError):  # at the end of a test
                target(argument)

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()


@contextmanager
def stalled(clusters: ProxiedClusters, kind: str) -> Iterator[list[Exchange]]:
    exchanges: list[Exchange] = []
    try:
        for _ in range(STALLED):
            exchanges.append(Exchange(clusters, kind))
        until_nothing_moves(exchanges)
        yield exchanges
    finally:
        for exchange in exchanges:
            exchange.client.reset()
            exchange.transfer.go_on.set()


def until_nothing_moves(exchanges: list[Exchange]) -> None:
    deadline = time.monotonic() + PATIENCE * 2
    before, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        assert time.monotonic() < deadline, "the senders are not held"
        time.sleep(0.05)
        now = sum(exchange.transfer.sent for exchange in exchanges)
        if now != before:
            before, since = now, time.monotonic()


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[ProxiedClusters]:
    """A daemon of its own for each: memory that one transfer has given back would hide what the next one takes."""
    running = ProxiedClusters(tmp_path).start()
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("kind", ["download", "upload", "tunnel down", "tunnel up"])
def test_stalled_transfers_take_little_memory_and_go_on(kind: str, clusters: ProxiedClusters) -> None:
    """Thirty transfers whose receiver stalls: less than 256 KiB each. One of them goes on then, and every byte comes.

    KUBEOIDCPROXY_TRANSFER_MIB=1024: each is of a gigabyte.
    """
    daemon = clusters.daemon
    assert ask(clusters, head("/version")).status == 200
    await_quiet(clusters)
    before = daemon.resident()
    with stalled(clusters, kind) as exchanges:
        grown = (daemon.resident() - before) / STALLED
        sent = [exchange.transfer.sent for exchange in exchanges]
        assert all(0 < size < SIZE for size in sent), "nobody stalled"
        assert grown < MOST, f"{grown / 1024:.0f} KiB a connection"
        transfer = exchanges[0].transfer
        transfer.go_on.set()
        assert transfer.over.wait(PATIENCE * 10)
        assert transfer.intact
    await_quiet(clusters)
