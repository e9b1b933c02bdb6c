"""A stop loses no answer: not one, and not one of many thousands over many restarts."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole.asking import head, new_target
from whole.client import Client, closing
from whole.daemon import Config, ProxiedClusters
from whole.upstream import (
    CLOSED,
    OK,
    PATIENCE,
    Request,
    UpstreamConnection,
    answer_with,
    never_answer,
    switch_and_echo,
)

MIB = 1024 * 1024
RESTARTS = int(os.environ.get("KUBEOIDCPROXY_RESTARTS", "2"))
CLIENTS = 6


def proxied(folder: Path, address: str, limits: Config) -> ProxiedClusters:
    clusters = ProxiedClusters(folder, limits=limits, access_log="json")
    clusters.config["listen"] = [{"address": address}]
    clusters.write_config()
    return clusters


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[ProxiedClusters]:
    running = proxied(tmp_path, "127.0.0.1:0", {"drainTimeout": "20s"}).start()
    try:
        yield running
    finally:
        if running.daemon.process.poll() is None:
            running.daemon.kill()
        for upstream in running.upstreams.values():
            upstream.stop()


def test_a_stop_finishes_what_was_begun_and_begins_nothing(clusters: ProxiedClusters) -> None:
    """Idle connections close; a request in flight is answered with Connection: close, one whose head is half there,
    too; nothing new is accepted; and the end is an exit code of 0, long before drainTimeout."""
    released = threading.Event()

    def slow(connection: UpstreamConnection, request: Request) -> None:
        connection.read_body(request)
        released.wait(PATIENCE)
        connection.send(OK)

    daemon, upstream = clusters.daemon, clusters.upstreams["a"]
    began = time.monotonic()
    with closing(clusters.connect()) as idle, closing(clusters.connect()) as busy, closing(clusters.connect()) as late:
        assert idle.request(head("/version")).status == 200
        upstream.begin()
        upstream.reply = slow
        busy.send(head(new_target()))
        whole = head(new_target())
        late.send(whole[:50])
        upstream.wait(lambda: bool(upstream.complete()), "the request")
        daemon.signal(signal.SIGTERM)
        assert idle.end() == CLOSED
        with pytest.raises(OSError, match=r"refused|reset"):
            clusters.connect()
        late.send(whole[50:])
        upstream.wait(lambda: len(upstream.complete()) == 2, "the other request")
        released.set()
        for client in (busy, late):
            answered = client.answer()
            assert (answered.status, answered.body, answered.values("Connection")) == (200, b"ok", ["close"])
            assert client.end() == CLOSED
    assert daemon.exit_code() == 0
    assert time.monotonic() - began < 15


DRAIN = 2.0


def test_streams_live_until_the_drain_timeout_and_a_slow_reader_loses_nothing(tmp_path: Path) -> None:
    """A watch and a tunnel go on for as long as drainTimeout, and are cut then; exit code 0. An answer that was given
    in whole by then is the kernel's: its client may take it when the process is long gone."""
    clusters = proxied(tmp_path, "127.0.0.1:0", {"drainTimeout": f"{DRAIN:g}s"}).start()
    upstream, body = clusters.upstreams["a"], os.urandom(MIB)
    try:
        with (
            closing(clusters.connect()) as tunnel,
            closing(clusters.connect()) as watch,
            closing(clusters.connect()) as slow,
        ):
            upstream.reply = never_answer
            watch.send(head("/api/v1/pods?watch=true"))
            upstream.wait(lambda: bool(upstream.complete()), "the watch")
            upstream.reply = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MIB + body)
            slow.send(head("/version"))
            slow.hear(b"\r\n\r\n")
            upstream.reply = switch_and_echo("websocket")
            assert tunnel.request(head("/exec", "Connection: Upgrade", "Upgrade: websocket")).status == 101
            began = time.monotonic()
            clusters.daemon.signal(signal.SIGTERM)
            for number in range(3):
                tunnel.send(b"ping %d" % number)
                tunnel.hear(b"ping %d" % number)
                time.sleep(DRAIN / 5)
            assert tunnel.end()
            assert watch.end()
            assert DRAIN <= time.monotonic() - began < DRAIN + PATIENCE
            assert clusters.daemon.exit_code() == 0
            assert slow.answer().body == body
    finally:
        clusters.stop()


# Restarts under load.


class Load:
    """Clients that ask and ask, on kept connections and on new ones, and count what becomes of it."""

    def __init__(self, clusters: ProxiedClusters) -> None:
        self.answered: set[str] = set()  # what clients got an answer to
        self.sent: set[str] = set()  # what the upstream has answered
        self.turned_away = 0  # no connection, or none that came to a request
        self.dropped: list[str] = []  # first requests of connections that were not answered
        self._clusters = clusters
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CLIENTS)]
        clusters.upstreams["a"].reply = self._reply

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE * 2)

    def _reply(self, connection: UpstreamConnection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.02)  # so that every stop finds some in flight
        connection.send(OK)
        with self._lock:
            self.sent.add(request.target)

    def _run(self, number: int) -> None:
        method = "POST" if number % 2 else "GET"
        while not self._over.is_set():
            try:
                client = self._clusters.connect()
            except OSError:
                self.turned_away += 1
                self._over.wait(0.05)
                continue
            with closing(client):
                self._ask(client, method, requests=1 + number % 3 * 10)

    def _ask(self, client: Client, method: str, requests: int) -> None:
        for turn in range(requests):
            target = new_target()
            try:
                answered = client.request(head(target, "Content-Length: 0", method=method))
            except AssertionError:
                if not turn:
                    self.dropped.append(f"{method} {target}: {client.ended}")
                return  # between two requests a connection may end at any time
            assert answered.status == 200
            with self._lock:
                self.answered.add(target)
            if answered.values("Connection") or self._over.is_set():
                return


def restart_under_load(clusters: ProxiedClusters, listener: socket.socket | None) -> Load:
    clusters.start(listener)
    load = Load(clusters)
    load.start()
    for _ in range(RESTARTS):
        before = len(load.answered)
        deadline = time.monotonic() + PATIENCE
        while len(load.answered) < before + 20 * CLIENTS:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        clusters.daemon.stop()  # the exit code is 0
        assert "Traceback" not in clusters.daemon.output
        clusters.start(listener)
    load.stop()
    clusters.stop()
    return load


def test_restarts_under_load_lose_no_answer(tmp_path: Path) -> None:
    """What the API server has answered, the client gets. Who comes while nobody listens is refused, and comes again.

    KUBEOIDCPROXY_RESTARTS=20 restarts twenty times.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clusters = proxied(tmp_path, f"127.0.0.1:{port}", {"drainTimeout": "20s"})
    load = restart_under_load(clusters, None)
    assert not load.sent - load.answered
    assert load.turned_away


def test_restarts_under_load_behind_a_socket_of_systemd_turn_nobody_away(tmp_path: Path) -> None:
    """The listening socket outlives the daemon: who comes during a restart waits, nobody is refused, and nobody's first
    request is left without an answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        clusters = proxied(tmp_path, "systemd:https", {"drainTimeout": "20s"})
        load = restart_under_load(clusters, listener)
    assert not load.sent - load.answered
    assert (load.turned_away, load.dropped) == (0, [])
