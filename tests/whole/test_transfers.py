"""Long bodies and streams: bounded memory, nothing held back, and an end that reaches the other side."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Queue

import pytest
from whole.client import Client, closing
from whole.daemon import A, Daemon, ProxiedClusters, people
from whole.upstream import (
    OK,
    PATIENCE,
    Reply,
    Request,
    UpstreamConnection,
    ask_and_stop,
    begin_and_stop,
    never_answer,
    switch_and_echo,
)

MIB = 1024 * 1024
BLOCK = bytes(range(256)) * 1024  # 256 KiB
MAX_GROWTH = 16 * MIB
# Less than half of the shortest body, more than the kernel's buffers of four sockets hold where they may grow to 32 MiB
# (tcp_rmem): these are none of the daemon's memory.
MAX_UNDERWAY = 90 * MIB
STALL = 2.0  # seconds: a thousand times what it takes to fill every buffer on the way

TRANSFERS = pytest.mark.parametrize(
    ("size", "framing"),
    [pytest.param(2048 * MIB, "length", id="2 GB"), pytest.param(200 * MIB, "chunked", id="200 MB")],
)
TARGET = "/api/v1/namespaces/default/pods/x/log?follow=true"


def head(*fields: str, method: str = "GET", target: str = TARGET) -> bytes:
    token = people().token("user1")
    return "\r\n".join(
        [f"{method} {target} HTTP/1.1", f"Host: {A}", f"Authorization: Bearer {token}", *fields, "", ""]
    ).encode()


class Progress:
    """Bytes that went in and came out of the proxy so far."""

    def __init__(self) -> None:
        self.sent = 0
        self.taken = 0

    @property
    def underway(self) -> int:
        return self.sent - self.taken


@contextmanager
def bounded_memory(daemon: Daemon) -> Iterator[None]:
    """The daemon's resident memory is looked at all the time, and must not grow."""
    before = daemon.resident()
    highest = [before]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            highest[0] = max(highest[0], daemon.resident())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert highest[0] - before < MAX_GROWTH, f"grew by {(highest[0] - before) / MIB:.1f} MiB"


@contextmanager
def blocking(clusters: ProxiedClusters) -> Iterator[Client]:
    """A client whose socket is used directly, in large pieces."""
    with closing(clusters.connect()) as client:
        client.tls.setblocking(True)
        client.tls.settimeout(PATIENCE)
        yield client


def framed(data: bytes, framing: str) -> bytes:
    return b"%X\r\n%s\r\n" % (len(data), data) if framing == "chunked" else data


def field(size: int, framing: str) -> str:
    return "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {size}"


@TRANSFERS
def test_a_download_takes_no_memory(size: int, framing: str, clusters: ProxiedClusters) -> None:
    """A download passes in bounded memory, also while its reader stalls; the upstream is held meanwhile."""
    block, count = framed(BLOCK, framing), size // len(BLOCK)
    progress = Progress()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(f"HTTP/1.1 200 OK\r\n{field(size, framing)}\r\n\r\n".encode())
        for _ in range(count):
            connection.send(block)
            progress.sent += len(block)
        connection.send(b"0\r\n\r\n" if framing == "chunked" else b"")

    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    whole = count * len(block) + (5 if framing == "chunked" else 0)
    with bounded_memory(clusters.daemon), blocking(clusters) as client:
        client.tls.sendall(head())
        start = b""
        while b"\r\n\r\n" not in start:
            start += client.tls.recv(1024)
        progress.taken = len(start.partition(b"\r\n\r\n")[2])
        take(client, progress, whole // 2)
        time.sleep(STALL)
        assert progress.underway < MAX_UNDERWAY
        take(client, progress, whole)


def take(client: Client, progress: Progress, until: int) -> None:
    room = memoryview(bytearray(256 * 1024))
    while progress.taken < until:
        got = client.tls.recv_into(room, min(len(room), until - progress.taken))
        assert got
        progress.taken += got


@TRANSFERS
def test_an_upload_takes_no_memory(size: int, framing: str, clusters: ProxiedClusters) -> None:
    """An upload passes in bounded memory, also while the upstream stalls; the client is held meanwhile."""
    block, count = framed(BLOCK, framing), size // len(BLOCK)
    whole = count * len(block) + (5 if framing == "chunked" else 0)
    progress = Progress()
    stalled, seen = threading.Event(), threading.Event()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        for half in (whole // 2, whole - whole // 2):
            for at in range(0, half, MIB):
                connection.swallow(min(MIB, half - at))
                progress.taken += min(MIB, half - at)
            if not stalled.is_set():
                stalled.set()
                seen.wait(PATIENCE)
        request.complete = True
        connection.send(OK)

    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    with bounded_memory(clusters.daemon), blocking(clusters) as client:
        sender = threading.Thread(target=upload, args=(client, framing, block, count, progress), daemon=True)
        client.tls.sendall(head(field(size, framing), method="PUT"))
        sender.start()
        assert stalled.wait(PATIENCE * 5)
        time.sleep(STALL)
        assert progress.underway < MAX_UNDERWAY
        seen.set()
        sender.join(PATIENCE * 5)
        assert client.tls.recv(1024).endswith(b"ok")
    assert progress.taken == whole


def upload(client: Client, framing: str, block: bytes, count: int, progress: Progress) -> None:
    for _ in range(count):
        client.tls.sendall(block)
        progress.sent += len(block)
    if framing == "chunked":
        client.tls.sendall(b"0\r\n\r\n")


def test_many_stalled_readers_take_no_memory(clusters: ProxiedClusters) -> None:
    """What one connection may hold is so little that fifty stalled downloads stay within the bound, too."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            connection.send(BLOCK)

    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    with bounded_memory(clusters.daemon):
        clients = [clusters.connect() for _ in range(50)]
        for client in clients:
            client.send(head())
            client.hear(b"\r\n\r\n")
        time.sleep(STALL)
    for client in clients:
        client.reset()
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of all downloads")


def test_events_of_a_watch_are_passed_on_at_once(clusters: ProxiedClusters) -> None:
    """Each event reaches the client before the next one is sent, in less than 50 ms (the median of thirty)."""
    events: Queue[bytes | None] = Queue()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (event := events.get(timeout=PATIENCE)) is not None:
            connection.send(b"%X\r\n%s\r\n" % (len(event), event))
        connection.send(b"0\r\n\r\n")

    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    delays = []
    with closing(clusters.connect()) as client:
        client.send(head(target="/api/v1/namespaces/default/pods?watch=true"))
        for number in range(30):
            event = b'{"type":"ADDED","number":%d}\n' % number
            began = time.monotonic()
            events.put(event)
            client.hear(event)
            delays.append(time.monotonic() - began)
        events.put(None)
        client.hear(b"\r\n0\r\n\r\n")
    assert statistics.median(delays) < 0.05


def test_an_upload_is_passed_on_at_once(clusters: ProxiedClusters) -> None:
    """Bytes of a request body reach the upstream while the rest of it is not even written."""
    arrived: Queue[bytes] = Queue()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        for _ in range(10):
            arrived.put(connection.read_some())
        request.complete = True
        connection.send(OK)

    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    with closing(clusters.connect()) as client:
        client.send(head("Content-Length: 50", method="POST"))
        for number in range(10):
            piece = b"part%d" % number
            client.send(piece)
            assert arrived.get(timeout=PATIENCE) == piece
        assert client.answer().status == 200


LEAVING: list[Callable[[Client], None]] = [Client.reset, Client.close, Client.end_input]
LEAVING_IDS = ["RST", "close_notify", "FIN"]


@pytest.mark.parametrize("leave", LEAVING, ids=LEAVING_IDS)
@pytest.mark.parametrize(
    ("reply", "sent", "heard"),
    [
        (never_answer, head(), b""),
        (begin_and_stop, head(), b"begin"),
        (ask_and_stop, head("Content-Length: 100", "Expect: 100-continue", method="POST"), b"100 Continue\r\n\r\n"),
        (switch_and_echo("websocket"), head("Connection: Upgrade", "Upgrade: websocket"), b"101 Switching"),
    ],
    ids=["awaiting an answer", "in the middle of an answer", "in the middle of a body", "in a tunnel"],
)
def test_a_client_that_leaves_cancels_its_request(
    reply: Reply, sent: bytes, heard: bytes, leave: Callable[[Client], None], clusters: ProxiedClusters
) -> None:
    """However the client goes, and whenever: the upstream sees its connection end, and soon."""
    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    client = clusters.connect()
    client.send(sent)
    client.hear(heard)
    upstream.wait(lambda: bool(upstream.requests()), "the request")
    began = time.monotonic()
    client.tls.setblocking(True)
    client.tls.settimeout(PATIENCE)
    leave(client)
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the upstream connection")
    assert time.monotonic() - began < 3
    assert not [request for request in upstream.complete() if request.method == "POST"]
    with suppress(OSError):
        client.tls.close()


def test_a_stalled_reader_that_leaves_cancels_its_request(clusters: ProxiedClusters) -> None:
    """A client that reads no more, so that the upstream is held, and then goes, ends the upstream's connection."""
    stalled: Queue[int] = Queue()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            connection.send(BLOCK)
            stalled.put(1)

    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    client = clusters.connect()
    client.send(head())
    client.hear(b"\r\n\r\n")
    with suppress(Empty):
        while True:
            stalled.get(timeout=0.5)  # until nothing is sent any more
    client.reset()
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the upstream connection")
