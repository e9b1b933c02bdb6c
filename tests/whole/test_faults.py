"""Peers that fail, on either side and at every stage: the status or abort that policy names, one record, no leak."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from whole.asking import (
    ask,
    ask_cluster,
    await_quiet,
    await_true,
    end_kept_connections,
    head,
    new_target,
    number,
    the_record,
)
from whole.client import Client, closing
from whole.daemon import FRONT, A, ProxiedClusters, kubeconfig, write_private
from whole.tokens import Issuer
from whole.upstream import (
    CLOSED,
    CUT,
    OK,
    PATIENCE,
    RESET,
    RecordingUpstream,
    Reply,
    Request,
    UpstreamConnection,
    answer,
    answer_with,
    ask_and_stop,
    begin_and_stop,
    never_answer,
    switch_and_echo,
)

CONNECT_TIMEOUT = 1.0  # seconds, of the clusters that never complete a connection

# API servers that cannot be connected to.


class Closed:
    """A port that nobody listens on."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.port = unused.getsockname()[1]

    def stop(self) -> None:
        pass


class Full:
    """A listening socket whose queue is full: a SYN is not answered."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=0)
        self.port = self._listener.getsockname()[1]
        self._waiting = [self._connect() for _ in range(3)]

    def stop(self) -> None:
        for sock in (*self._waiting, self._listener):
            sock.close()

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", self.port))
        select.select([], [sock], [], 0.1)
        return sock


class Silent:
    """Accepts TCP and says nothing: a handshake is never answered."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]

    def hang_up(self) -> None:
        """Everybody who has connected is left."""
        while select.select([self._listener], [], [], 0)[0]:
            self._listener.accept()[0].close()

    def await_peer(self) -> None:
        """Until somebody has connected."""
        assert select.select([self._listener], [], [], PATIENCE)[0]

    def stop(self) -> None:
        self._listener.close()


class Answering:
    """Says the same to everybody, whatever it is told: plain HTTP, or a TCP reset."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                peer = self._listener.accept()[0]
                with peer:
                    if self._said:
                        peer.recv(65536)
                        peer.sendall(self._said)
                    else:
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def expired(authority: Authority) -> RecordingUpstream:
    upstream = RecordingUpstream(authority)
    upstream.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        upstream.context.load_cert_chain(*authority.issue("127.0.0.1", days=(-30, -1)).write(Path(folder)))
    return upstream


PLAIN_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

UNREACHABLE: dict[str, tuple[Callable[[Authority], Any], int, str]] = {
    "closed": (lambda _: Closed(), 502, "refused"),
    "resetting": (lambda _: Answering(b""), 502, "failed"),
    "full": (lambda _: Full(), 504, "timeout"),
    "silent": (lambda _: Silent(), 504, "timeout"),
    "plain": (lambda _: Answering(PLAIN_HTTP), 502, "tls"),
    "stranger": (lambda _: RecordingUpstream(Authority("nobody trusts this")), 502, "tls"),
    "misnamed": (lambda authority: RecordingUpstream(authority, name="elsewhere.example.test"), 502, "tls"),
    "expired": (expired, 502, "tls"),
}


@dataclass
class Faulty:
    """One daemon in front of a cluster that works and many that do not."""

    clusters: ProxiedClusters
    servers: dict[str, Any]
    issuer: Silent  # never answers: whoever comes with its token waits for a decision


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    clusters = ProxiedClusters(tmp_path_factory.mktemp("faulty"), access_log="json")
    authority = clusters.upstreams["a"].authority
    servers = {name: make(authority) for name, (make, _, _) in UNREACHABLE.items()}
    issuer = Silent()
    (clusters.folder / "trusted.ca").write_text(authority.pem)
    for name, server in servers.items():
        address = {"server": f"https://127.0.0.1:{server.port}", "certificate-authority": "trusted.ca"}
        write_private(clusters.folder / f"{name}.kubeconfig", kubeconfig(address))
        cluster = {"name": name, "kubeconfig": f"{name}.kubeconfig", "connectTimeout": f"{CONNECT_TIMEOUT:g}s"}
        clusters.config["clusters"].append(cluster)
    clusters.config["clusters"][0]["responseTimeout"] = "500ms"
    clusters.config["authentication"]["config"] = trusting(f"https://127.0.0.1:{issuer.port}")
    clusters.write_config()
    try:
        yield Faulty(clusters.start(), servers, issuer)
        assert "Traceback" not in clusters.daemon.output
        assert "Unhandled" not in clusters.daemon.output
    finally:
        clusters.stop()
        for server in (*servers.values(), issuer):
            server.stop()


@pytest.fixture(autouse=True)
def plain_answers(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "faulty" in request.fixturenames:
        for upstream in request.getfixturevalue("faulty").clusters.upstreams.values():
            upstream.reply = answer


def trusting(issuer: str) -> dict[str, object]:
    username = {"claim": "sub", "prefix": "hanging:"}
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{"issuer": {"url": issuer, "audiences": ["kubernetes"]}, "claimMappings": {"username": username}}],
    }


@pytest.mark.parametrize("cluster", list(UNREACHABLE))
def test_an_api_server_that_cannot_be_connected_to(cluster: str, faulty: Faulty) -> None:
    """502 or, where time ran out, 504: a Status without an address, one record, and a metric that names the kind."""
    _, status, kind = UNREACHABLE[cluster]
    target = new_target(cluster)
    began = time.monotonic()
    answered = ask_cluster(faulty.clusters, target)
    assert answered.status == status
    assert (time.monotonic() - began >= CONNECT_TIMEOUT / 2) == (status == 504)
    assert b'"kind": "Status"' in answered.body
    assert str(faulty.servers[cluster].port).encode() not in answered.raw
    record = the_record(faulty.clusters, target)
    assert (record["status"], record["decision"], record["user"]) == (status, "allow", "user1")
    assert number(faulty.clusters.daemon, "upstream_connect_errors_total", cluster=cluster, reason=kind) >= 1


@pytest.mark.parametrize("cluster", ["stranger", "misnamed", "expired"])
def test_nothing_is_written_to_a_server_that_is_not_who_it_should_be(cluster: str, faulty: Faulty) -> None:
    """Neither the request nor our credential: the connection ends in the handshake."""
    upstream = faulty.servers[cluster]
    assert ask_cluster(faulty.clusters, new_target(cluster), method="POST").status == 502
    upstream.wait(lambda: all(c.ended for c in upstream.connections), "the end of the handshakes")
    assert not any(c.received for c in upstream.connections)


def test_an_api_server_that_goes_away_and_comes_back(faulty: Faulty) -> None:
    """502 while it is down, kept connections or not; 200 again, without a restart, when it is back."""
    clusters = faulty.clusters
    before = clusters.upstreams["c"]
    assert ask_cluster(clusters, new_target("c")).status == 200
    before.stop()
    target = new_target("c")
    assert ask_cluster(clusters, target).status == 502
    assert the_record(clusters, target)["status"] == 502
    after = clusters.upstreams["c"] = RecordingUpstream(before.authority, port=before.port)
    assert ask_cluster(clusters, new_target("c")).status == 200
    assert after.requests()


# API servers that fail behind the handshake.


def end_without_answer(connection: UpstreamConnection, request: Request) -> None:
    connection.read_body(request)
    connection.close()


def reset_without_answer(connection: UpstreamConnection, request: Request) -> None:
    connection.read_body(request)
    connection.reset()


def half_a_head(connection: UpstreamConnection, request: Request) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-")
    connection.cut()


FAILING_BEFORE: dict[str, tuple[Reply, int]] = {
    "closed without an answer": (end_without_answer, 502),
    "reset without an answer": (reset_without_answer, 502),
    "cut in the head": (half_a_head, 502),
    "no HTTP": (answer_with(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), 502),
    "never answered": (never_answer, 504),
}


@pytest.mark.parametrize(
    ("fault", "method"), [*((fault, "GET") for fault in FAILING_BEFORE), ("reset without an answer", "POST")]
)
def test_an_api_server_that_fails_before_its_answer(fault: str, method: str, faulty: Faulty) -> None:
    """502, or 504 where it said nothing in time, and one record; the client's connection goes on, unless it says so."""
    reply, status = FAILING_BEFORE[fault]
    faulty.clusters.upstreams["a"].reply = reply
    target = new_target()
    with closing(faulty.clusters.connect()) as client:
        answered = client.request(head(target, *["Content-Length: 0"][: method == "POST"], method=method))
        assert answered.status == status
        faulty.clusters.upstreams["a"].reply = answer
        if answered.values("Connection"):
            assert client.end() == CLOSED
        else:
            assert client.request(head(new_target())).status == 200
    record = the_record(faulty.clusters, target)
    assert (record["status"], record["decision"]) == (status, "allow")


def half_a_body(end: Callable[[UpstreamConnection], None], start: bytes, heard: threading.Event) -> Reply:
    """:param heard: the client has what was sent; a reset would take it away."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(start)
        heard.wait(PATIENCE)
        end(connection)

    return reply


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf"
BETWEEN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf"


@pytest.mark.parametrize("start", [LENGTH, CHUNKED, BETWEEN_CHUNKS], ids=["length", "chunk", "between chunks"])
@pytest.mark.parametrize(
    "end",
    [UpstreamConnection.close, UpstreamConnection.cut, UpstreamConnection.reset],
    ids=["close_notify", "FIN", "RST"],
)
def test_an_api_server_that_fails_in_its_body(
    end: Callable[[UpstreamConnection], None], start: bytes, faulty: Faulty
) -> None:
    """The client must see that it has not got all: its connection is reset, and no byte is invented. One record."""
    heard = threading.Event()
    faulty.clusters.upstreams["a"].reply = half_a_body(end, start, heard)
    target = new_target()
    with closing(faulty.clusters.connect()) as client:
        client.send(head(target))
        client.hear(b"half")
        heard.set()
        assert client.end() == RESET
        assert client.received.endswith(b"half")
    record = the_record(faulty.clusters, target)
    assert (record["status"], record["decision"]) == (200, "allow")


def test_an_api_server_that_answers_early(faulty: Faulty) -> None:
    """P13: an answer before the end of the body is relayed, then both connections end. One record."""

    def early(connection: UpstreamConnection, request: Request) -> None:
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        connection.await_end()

    upstream = faulty.clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = early
    target = new_target()
    with closing(faulty.clusters.connect()) as client:
        client.send(head(target, "Content-Length: 100000", method="POST") + b"begin")
        answered = client.answer()
        assert (answered.status, answered.body, answered.values("Connection")) == (413, b"big", ["close"])
        assert client.end() == CLOSED
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the upstream connection")
    assert not upstream.complete()
    assert the_record(faulty.clusters, target)["status"] == 413


# Policy row "retry".

ENDS: list[Callable[[UpstreamConnection], None]] = [
    UpstreamConnection.close,
    UpstreamConnection.cut,
    UpstreamConnection.reset,
]


def fail_once(target: str, end: Callable[[UpstreamConnection], None], said: bytes = b"") -> Reply:
    """Ends the connection on which this is asked for first."""
    left = iter([True])

    def reply(connection: UpstreamConnection, request: Request) -> None:
        if request.target == target and next(left, False):
            if said:
                connection.send(said)
            end(connection)
        else:
            answer(connection, request)

    return reply


RETRIED = [("GET", (), b""), ("HEAD", (), b""), ("OPTIONS", (), b"")]
NOT_RETRIED = [
    *[(method, ("Content-Length: 0",), b"") for method in ("POST", "PUT", "PATCH", "DELETE")],
    ("DELETE", (), b""),
    ("GET", ("Content-Length: 4",), b"body"),
    ("GET", ("Transfer-Encoding: chunked",), b"4\r\nbody\r\n0\r\n\r\n"),
]


def asked(
    faulty: Faulty, method: str, fields: tuple[str, ...], body: bytes, *, reused: bool, said: bytes = b"", end: int = 0
) -> tuple[int, int, list[dict[str, Any]]]:
    """A request whose first connection ends: its status, how often the upstream was asked, and its record."""
    clusters = faulty.clusters
    upstream = clusters.upstreams["b"]
    upstream.begin()
    upstream.reply = answer
    target = new_target("b")
    if reused:  # the connection used last is taken first
        assert ask_cluster(clusters, new_target("b")).status == 200
    else:
        end_kept_connections(faulty.clusters, "b")
    upstream.settle()
    upstream.reply = fail_once(target.removeprefix("/b"), ENDS[end], said)
    with closing(clusters.connect(FRONT)) as client:
        client.send(head(target, *fields, method=method, host=FRONT) + body)
        status = client.answer(head_only=method == "HEAD").status
    upstream.settle()
    times = [r.target for r in upstream.requests()].count(target.removeprefix("/b"))
    return status, times, the_record(clusters, target)["status"]


@pytest.mark.parametrize("end", range(3), ids=["close_notify", "FIN", "RST"])
@pytest.mark.parametrize(("method", "fields", "body"), RETRIED, ids=[r[0] for r in RETRIED])
def test_what_only_reads_is_sent_again_once(
    method: str, fields: tuple[str, ...], body: bytes, end: int, faulty: Faulty
) -> None:
    """GET, HEAD and OPTIONS without a body, where a reused connection ended before any byte came back."""
    assert asked(faulty, method, fields, body, reused=True, end=end) == (200, 2, 200)


@pytest.mark.parametrize(("method", "fields", "body"), NOT_RETRIED)
def test_what_may_change_something_is_not_sent_again(
    method: str, fields: tuple[str, ...], body: bytes, faulty: Faulty
) -> None:
    """Everything else is a 502: whether it was done is not for us to guess."""
    assert asked(faulty, method, fields, body, reused=True) == (502, 1, 502)


def test_nothing_is_sent_again_after_a_new_connection(faulty: Faulty) -> None:
    """A connection that was made for this request did not end for being old."""
    assert asked(faulty, "GET", (), b"", reused=False) == (502, 1, 502)


def test_nothing_is_sent_again_after_a_byte_came_back(faulty: Faulty) -> None:
    """An answer was begun: the request was read."""
    assert asked(faulty, "GET", (), b"", reused=True, said=b"H") == (502, 1, 502)


def test_nothing_is_sent_again_after_an_interim_answer(faulty: Faulty) -> None:
    said = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert asked(faulty, "GET", (), b"", reused=True, said=said) == (502, 1, 502)


# Clients that leave.


def leave_by_fin(client: Client) -> None:
    client.end_input()


def leave_by_close_notify(client: Client) -> None:
    client.tls.settimeout(0.05)  # the answer to a close_notify is not waited for
    client.close()


LEAVING: dict[str, Callable[[Client], None]] = {
    "FIN": leave_by_fin,
    "RST": Client.reset,
    "close_notify": leave_by_close_notify,
}
EVERY_WAY = pytest.mark.parametrize("leave", LEAVING.values(), ids=list(LEAVING))


def client_hello() -> bytes:
    """The first flight of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=A).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("said", [b"", client_hello()[:50], client_hello()], ids=["nothing", "half a hello", "hello"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_client_that_leaves_in_the_handshake(how: str, said: bytes, faulty: Faulty) -> None:
    """It is forgotten: nothing is open that was not before, no record, no noise."""
    daemon = faulty.clusters.daemon
    await_quiet(faulty.clusters)
    before, noise = daemon.open_files(), daemon.stdout.size
    for _ in range(10):
        peer = socket.create_connection(daemon.address, timeout=PATIENCE)
        peer.sendall(said)
        if how == "RST":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
    await_true(lambda: daemon.open_files() <= before, "the descriptors")
    assert '"uri"' not in daemon.stdout.text[noise:]


@EVERY_WAY
def test_a_client_that_leaves_in_the_head(leave: Callable[[Client], None], faulty: Faulty) -> None:
    """It has not asked for anything: no record."""
    target = new_target()
    client = faulty.clusters.connect()
    client.send(head(target)[:-10])
    leave(client)
    ask(faulty.clusters, head(last := new_target()))
    the_record(faulty.clusters, last)
    client.tls.close()
    assert faulty.clusters.daemon.stdout.find(re.escape(target) + r"\b") is None


def test_clients_that_leave_before_the_decision(faulty: Faulty) -> None:
    """While keys are waited for: nothing goes upstream later, and each leaves one record."""
    upstream = faulty.clusters.upstreams["a"]
    upstream.begin()
    bearer = Issuer(f"https://127.0.0.1:{faulty.issuer.port}").token("user1")
    faulty.issuer.hang_up()
    faulty.clusters.daemon.signal(signal.SIGHUP)  # the issuer is asked again: for the next 5 s everybody waits
    faulty.issuer.await_peer()
    waiting = {new_target(): (faulty.clusters.connect(), leave) for leave in LEAVING.values()}
    for target, (client, _) in waiting.items():
        client.send(head(target, bearer=bearer))
    for client, leave in waiting.values():
        assert not client.heard_within(0.2)
        leave(client)
    for target, (client, _) in waiting.items():
        record = the_record(faulty.clusters, target)
        assert (record["status"], record["decision"], record["user"]) == (0, "", "")
        client.tls.close()
    assert not {r.target for r in upstream.requests()} & set(waiting)


@EVERY_WAY
def test_a_client_that_leaves_while_tcp_connects(leave: Callable[[Client], None], faulty: Faulty) -> None:
    """The attempt is given up at once, with its descriptor; one record."""
    upstream = faulty.clusters.upstreams["b"]
    upstream.stop()
    full = Full(upstream.port)
    before = connecting_to(full.port)
    target = new_target("b")
    client = faulty.clusters.connect(FRONT)
    client.send(head(target, host=FRONT))
    await_true(lambda: connecting_to(full.port) > before, "an attempt to connect")
    leave(client)
    await_true(lambda: connecting_to(full.port) == before, "the end of the attempt")
    record = the_record(faulty.clusters, target)
    assert (record["status"], record["decision"], record["user"]) == (0, "allow", "user1")
    client.tls.close()
    full.stop()
    faulty.clusters.upstreams["b"] = RecordingUpstream(upstream.authority, port=upstream.port)


def connecting_to(port: int) -> int:
    """Sockets that have sent a SYN to this port, and have no answer."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "02" for line in lines)


class NoHandshake:
    """In the place of an SSLContext: reads what comes and never answers."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def wrap_socket(self, sock: socket.socket, **_: object) -> None:
        self.begun.set()
        while sock.recv(65536):
            pass
        raise OSError("the peer left")


@EVERY_WAY
def test_a_client_that_leaves_during_the_handshake_upstream(leave: Callable[[Client], None], faulty: Faulty) -> None:
    """The attempt is given up at once, with its descriptor; one record."""
    upstream = faulty.clusters.upstreams["b"]
    end_kept_connections(faulty.clusters, "b")
    context, upstream.context = upstream.context, (stalling := NoHandshake())  # type: ignore[assignment]
    target = new_target("b")
    client = faulty.clusters.connect(FRONT)
    client.send(head(target, host=FRONT))
    assert stalling.begun.wait(PATIENCE)
    leave(client)
    upstream.wait(lambda: all(c.ended for c in upstream.connections), "the end of the attempt")
    record = the_record(faulty.clusters, target)
    assert (record["status"], record["decision"], record["user"]) == (0, "allow", "user1")
    client.tls.close()
    upstream.context = context


@dataclass(frozen=True)
class Stage:
    """Where a request is when its client leaves.

    :param heard: by the client, before it leaves.
    :param status: in the record; 0: it left before the answer.
    """

    reply: Reply
    fields: tuple[str, ...]
    method: str
    heard: bytes
    status: int


STAGES = {
    "awaiting its answer": Stage(never_answer, (), "GET", b"", 0),
    "in its body": Stage(ask_and_stop, ("Content-Length: 100", "Expect: 100-continue"), "POST", b"100 Continue", 0),
    "in the answer": Stage(begin_and_stop, (), "GET", b"begin", 200),
    "in a tunnel": Stage(
        switch_and_echo("websocket"), ("Connection: Upgrade", "Upgrade: websocket"), "GET", b"101 Switching", 101
    ),
}


@EVERY_WAY
@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_a_client_that_leaves_in_an_exchange(stage: Stage, leave: Callable[[Client], None], faulty: Faulty) -> None:
    """The upstream sees its connection end, and never a whole request that was not; one record."""
    upstream = faulty.clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = stage.reply
    target = new_target()
    client = faulty.clusters.connect()
    client.send(head(target, *stage.fields, method=stage.method))
    client.hear(stage.heard)
    upstream.wait(lambda: bool(upstream.requests()), "the request")
    leave(client)
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the upstream connection")
    assert not [request for request in upstream.complete() if request.method == "POST"]
    upstream.reply = answer
    record = the_record(faulty.clusters, target)
    assert (record["status"], record["decision"]) == (stage.status, "allow")
    client.tls.close()


# Again and again.


def fault_upstream(reply: Reply, status: int) -> Callable[[Faulty], None]:
    def play(faulty: Faulty) -> None:
        faulty.clusters.upstreams["a"].reply = reply
        assert ask(faulty.clusters, head("/version")).status == status

    return play


def fault_in_body(end: Callable[[UpstreamConnection], None]) -> Callable[[Faulty], None]:
    def play(faulty: Faulty) -> None:
        heard = threading.Event()
        faulty.clusters.upstreams["a"].reply = half_a_body(end, CHUNKED, heard)
        with closing(faulty.clusters.connect()) as client:
            client.send(head("/version"))
            client.hear(b"half")
            heard.set()
            assert client.end() in (RESET, CUT)

    return play


def fault_connecting(cluster: str) -> Callable[[Faulty], None]:
    def play(faulty: Faulty) -> None:
        assert ask_cluster(faulty.clusters, f"/{cluster}/version").status == 502

    return play


def fault_leaving(stage: Stage, leave: Callable[[Client], None]) -> Callable[[Faulty], None]:
    def play(faulty: Faulty) -> None:
        faulty.clusters.upstreams["a"].reply = stage.reply
        client = faulty.clusters.connect()
        client.send(head("/version", *stage.fields, method=stage.method))
        client.hear(stage.heard)
        leave(client)
        client.tls.close()

    return play


def fault_leaving_while_connecting(faulty: Faulty) -> None:
    client = faulty.clusters.connect(FRONT)
    client.send(head("/silent/version", host=FRONT))
    client.reset()


def fault_in_handshake(faulty: Faulty) -> None:
    with socket.create_connection(faulty.clusters.daemon.address, timeout=PATIENCE) as peer:
        peer.sendall(client_hello())


def fault_malformed(faulty: Faulty) -> None:
    with closing(faulty.clusters.connect()) as client:
        assert client.request(b"GET / HTTP/1.1\nHost: a\n\n").status == 400


FAULTS: list[Callable[[Faulty], None]] = [
    fault_upstream(end_without_answer, 502),
    fault_upstream(reset_without_answer, 502),
    fault_upstream(answer_with(OK + b"more"), 502),
    *[fault_in_body(end) for end in ENDS],
    *[fault_connecting(cluster) for cluster in ("closed", "resetting", "plain", "stranger", "misnamed", "expired")],
    *[fault_leaving(stage, leave) for stage in STAGES.values() for leave in LEAVING.values()],
    fault_leaving_while_connecting,
    fault_in_handshake,
    fault_malformed,
]

MIB = 1024 * 1024
PAGES_THAT_MOVE = 2 * MIB  # the allocator's; a leak of one small object a fault would be more than this in 10 000
MANY = int(os.environ.get("KUBEOIDCPROXY_FAULTS", "300"))


@pytest.mark.slow
def test_faults_leave_nothing_behind(faulty: Faulty) -> None:
    """Hundreds of faults of every kind: as many descriptors as before, and no more memory.

    KUBEOIDCPROXY_FAULTS=10000 plays ten thousand.
    """
    faults = cycle(FAULTS)
    for play in islice(faults, 8 * len(FAULTS)):  # what is kept for the next time is made now
        play(faulty)
    await_quiet(faulty.clusters)
    files, memory = open_but_idle(faulty), faulty.clusters.daemon.resident()
    for play in islice(faults, MANY):
        play(faulty)
    await_quiet(faulty.clusters)
    await_true(lambda: open_but_idle(faulty) <= files, "the descriptors")
    grown = faulty.clusters.daemon.resident() - memory
    assert grown < PAGES_THAT_MOVE, f"grew by {grown / 1024:.0f} KiB"


def open_but_idle(faulty: Faulty) -> int:
    """Descriptors of the daemon without the connections that it keeps for later."""
    page = faulty.clusters.daemon.get("/metrics")[1]
    kept = re.findall(r'upstream_connections\{cluster="\w+",state="idle"\} (\S+)', page)
    return faulty.clusters.daemon.open_files() - sum(int(float(number)) for number in kept)
