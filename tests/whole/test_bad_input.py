"""Files that are wrong, peers that are away, and signals: what is told, what goes on, and how the process ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Authority
from whole.client import Answer, closing
from whole.daemon import FRONT, ROOT, TWISTD, A, B, ProxiedClusters, kubeconfig, people, write_private
from whole.tokens import Issuer
from whole.upstream import (
    CLOSED,
    OK,
    PATIENCE,
    RecordingUpstream,
    Request,
    UpstreamConnection,
    answer,
    never_answer,
    switch_and_echo,
)

import kubeoidcproxy

FIVE_MISTAKES = """\
listen:
  - address: "nowhere"
tls:
  certificates:
    - {certFile: tls.crt, keyFile: tls.key}
  minVersion: "1.1"
authentication:
  staticIssuers:
    - issuer: urn:people
      audiences: [kubernetes]
      publicKeyFile: not-there.pem
      claimMappings: {username: {claim: sub, prefix: ""}}
clusters:
  - name: a
    serverName: a.k8s.example.test
    kubeconfig: a.kubeconfig
    connectTimeout: soon
"""
PLACES = [
    (2, "listen[0].address"),
    (6, "tls.minVersion"),
    (11, "authentication.staticIssuers[0].publicKeyFile"),
    (15, "clusters[0].serverName"),
    (17, "clusters[0].connectTimeout"),
]


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str) -> Ended:
    """twistd to its end."""
    done = subprocess.run(
        [str(TWISTD), "-n", "--pidfile=", "kubeoidcproxy", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def refused(config_file: Path) -> list[str]:
    """What is printed about a configuration that cannot be served."""
    ended = run(config_file.parent, "--config", str(config_file))
    assert ended.code == 1, ended
    assert "listening" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stderr.splitlines()


def test_five_mistakes_are_five_lines(tmp_path: Path) -> None:
    """Every mistake of a configuration is told at once, as file:line: path: message, and nothing listens."""
    config_file = tmp_path / "kubeoidcproxy.yaml"
    config_file.write_text(FIVE_MISTAKES)
    lines = refused(config_file)
    found = [re.fullmatch(re.escape(str(config_file)) + r":(\d+): (\S+): \S.*", line) for line in lines]
    assert [(int(match[1]), match[2]) for match in found if match] == PLACES, lines
    assert len(lines) == 5


@pytest.mark.parametrize("text", [None, "", "listen: ["], ids=["missing", "empty", "broken"])
def test_a_configuration_that_is_none(text: str | None, tmp_path: Path) -> None:
    """A file that is missing, empty, broken or something else is told with its name."""
    config_file = tmp_path / "kubeoidcproxy.yaml"
    if text is not None:
        config_file.write_text(text)
    lines = refused(config_file)
    assert lines
    assert all(line.startswith(str(config_file)) for line in lines)


def test_what_is_not_served_yet_is_refused(prepared: ProxiedClusters) -> None:
    """A key of the contract that this version cannot serve is an error; none is ignored."""
    prepared.config["workers"] = 2
    prepared.write_config()
    (line,) = refused(prepared.config_file)
    assert line.endswith(": workers: not supported yet: workers")


def test_no_serving_certificate_is_left(prepared: ProxiedClusters) -> None:
    """Where every serving pair is faulty there is nothing to serve with: exit 1."""
    prepared.config["tls"]["certificates"] = prepared.config["tls"]["certificates"][:2]
    prepared.write_config()
    halve(prepared.folder / "front.crt")
    (prepared.folder / "a.key").unlink()
    text = "\n".join(refused(prepared.config_file))
    assert "front.crt" in text
    assert "a.key" in text


def test_no_cluster_is_left(prepared: ProxiedClusters) -> None:
    """Where every kubeconfig is faulty there is nothing to serve: exit 1."""
    (prepared.folder / "a.kubeconfig").unlink()
    halve(prepared.folder / "b.kubeconfig")
    (prepared.folder / "c.kubeconfig").chmod(0o666)
    text = "\n".join(refused(prepared.config_file))
    for name in "abc":
        assert f"cluster {name}" in text


def test_a_port_that_is_taken(prepared: ProxiedClusters) -> None:
    """An address that cannot be bound is told in a sentence, and the process ends with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        prepared.config["listen"] = [{"address": f"127.0.0.1:{taken.getsockname()[1]}"}]
        prepared.write_config()
        ended = run(prepared.folder, "--config", str(prepared.config_file))
    assert ended.code == 1
    assert "in use" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_version_is_ours(tmp_path: Path) -> None:
    """``twistd kubeoidcproxy --version`` tells ours, not Twisted's."""
    ended = run(tmp_path, "--version")
    assert (ended.code, ended.stdout) == (0, f"kubeoidcproxy {kubeoidcproxy.__version__}\n")


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[ProxiedClusters]:
    """All files in place, nothing started."""
    clusters = ProxiedClusters(tmp_path)
    try:
        yield clusters
    finally:
        for upstream in clusters.upstreams.values():
            upstream.stop()


def halve(path: Path) -> None:
    """As it looks while somebody is writing it."""
    text = path.read_text()
    path.write_text(text[: len(text) // 2])


# One daemon in which much is wrong.

AWAY = Issuer("https://127.0.0.1:1")  # tcpmux: nobody listens there


@dataclass
class Troubled:
    clusters: ProxiedClusters
    closed_port: int
    authority: Authority


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    """Cluster b is unreachable, c's kubeconfig half-written, a certificate cut off, another missing, an issuer down."""
    clusters = ProxiedClusters(tmp_path_factory.mktemp("troubled"))
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed_port = unused.getsockname()[1]
    authority = clusters.upstreams["b"].authority
    (clusters.folder / "b.ca").write_text(authority.pem)
    server = {"server": f"https://127.0.0.1:{closed_port}", "certificate-authority": "b.ca"}
    write_private(clusters.folder / "b.kubeconfig", kubeconfig(server))
    halve(clusters.folder / "c.kubeconfig")
    halve(clusters.folder / "a.crt")
    clusters.config["tls"]["certificates"].append({"certFile": "not-there.crt", "keyFile": "not-there.key"})
    clusters.config["authentication"]["config"] = authentication(AWAY)
    clusters.write_config()
    try:
        yield Troubled(clusters.start(), closed_port, authority)
    finally:
        clusters.stop()


def authentication(issuer: Issuer) -> dict[str, object]:
    username = {"claim": "sub", "prefix": "away:"}
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{"issuer": {"url": issuer.name, "audiences": ["kubernetes"]}, "claimMappings": {"username": username}}],
    }


def ask(clusters: ProxiedClusters, target: str, *, server_name: str = A, issuer: Issuer | None = None) -> Answer:
    token = (issuer or people()).token("user1")
    raw = f"GET {target} HTTP/1.1\r\nHost: {server_name}\r\nAuthorization: Bearer {token}\r\n\r\n"
    with closing(clusters.connect(server_name)) as client:
        return client.request(raw.encode())


def test_the_healthy_cluster_is_served(troubled: Troubled) -> None:
    """What is wrong elsewhere does not stop a cluster; its name is served by the certificate that is left for it."""
    assert ask(troubled.clusters, "/version").status == 200


def test_all_that_is_wrong_is_reported(troubled: Troubled) -> None:
    """The log names each file that is left out, and each peer that is away."""
    stdout = troubled.clusters.daemon.stdout
    for pattern in (r"a\.crt", r"not-there\.crt", r"cluster c is left out.*c\.kubeconfig", r"127\.0\.0\.1:1\b"):
        stdout.wait_for(pattern)
    stdout.wait_for(r"cluster b\b.*(refused|reach)")


def test_readyz_names_who_is_not_well(troubled: Troubled) -> None:
    """Ready, for somebody can be served; ?verbose tells who cannot, and no address of an API server."""
    daemon = troubled.clusters.daemon
    daemon.stdout.wait_for(r"cluster b\b.*(refused|reach)")
    status, text = daemon.get("/readyz?verbose")
    assert status == 200
    for line in (
        r"\[\+\]cluster a ok",
        r"\[-\]cluster b: \S.*",
        r"\[-\]cluster c: \S.*",
        r"\[\+\]issuer urn:people ok",
    ):
        assert re.search(f"^{line}$", text, re.MULTILINE), text
    assert re.search(rf"^\[-\]issuer {re.escape(AWAY.name)}: \S", text, re.MULTILINE), text
    assert str(troubled.closed_port) not in text
    assert daemon.get("/livez")[0] == 200


def test_a_cluster_that_is_left_out_is_not_found(troubled: Troubled) -> None:
    """A cluster whose kubeconfig cannot be read is not served: 404."""
    assert ask(troubled.clusters, "/c/version", server_name=FRONT).status == 404


def test_tokens_of_an_issuer_that_never_answered_are_told_to_come_back(troubled: Troubled) -> None:
    """503 with Retry-After, not 401: kubectl must not throw a good token away."""
    answered = ask(troubled.clusters, "/version", issuer=AWAY)
    assert answered.status == 503
    (seconds,) = answered.values("Retry-After")
    assert int(seconds) > 0


def test_a_dead_cluster_is_a_bad_gateway_until_it_is_back(troubled: Troubled) -> None:
    """502 without the address while nothing listens there; 200 as soon as something does, without a restart."""
    answered = ask(troubled.clusters, "/version", server_name=B)
    assert answered.status == 502
    assert str(troubled.closed_port) not in answered.raw.decode()
    upstream = RecordingUpstream(troubled.authority, port=troubled.closed_port)
    try:
        assert ask(troubled.clusters, "/version", server_name=B).status == 200
    finally:
        upstream.stop()


# Signals.


@pytest.fixture
def started(prepared: ProxiedClusters) -> Iterator[ProxiedClusters]:
    prepared.start()
    try:
        yield prepared
    finally:
        if prepared.daemon.process.poll() is None:
            prepared.daemon.kill()


def head(target: str, *fields: str) -> bytes:
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {A}",
        f"Authorization: Bearer {people().token('user1')}",
        *fields,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_what_is_in_flight_finish(number: signal.Signals, started: ProxiedClusters) -> None:
    """Idle connections are closed at once, a request in flight gets its answer, new ones are refused; exit code 0."""
    released = threading.Event()

    def slow(connection: UpstreamConnection, request: Request) -> None:
        connection.read_body(request)
        released.wait(PATIENCE)
        connection.send(OK)

    idle, fresh, busy = started.connect(), started.connect(), started.connect()
    assert idle.request(head("/version")).status == 200
    upstream = started.upstreams["a"]
    upstream.begin()
    upstream.reply = slow
    busy.send(head("/version"))
    upstream.wait(lambda: bool(upstream.complete()), "the request")
    started.daemon.signal(number)
    assert idle.end() == CLOSED
    assert fresh.end() == CLOSED
    idle.close()
    fresh.close()
    with pytest.raises(OSError, match=r"refused|reset"):
        started.connect()
    released.set()
    answered = busy.answer()
    assert (answered.status, answered.body) == (200, b"ok")
    assert busy.end() == CLOSED
    busy.close()
    assert started.daemon.exit_code() == 0


def test_a_stop_waits_for_streams_no_longer_than_it_may(started: ProxiedClusters) -> None:
    """Watches and tunnels that do not end by themselves are cut after drainTimeout; exit code 0."""
    upstream = started.upstreams["a"]
    upstream.reply = never_answer
    watch, tunnel = started.connect(), started.connect()
    watch.send(head("/api/v1/pods?watch=true"))
    upstream.wait(lambda: bool(upstream.complete()), "the watch")
    upstream.reply = switch_and_echo("websocket")
    raw = head("/api/v1/namespaces/d/pods/x/exec", "Connection: Upgrade", "Upgrade: websocket")
    assert tunnel.request(raw).status == 101
    started.daemon.signal(signal.SIGTERM)
    assert watch.end()
    assert tunnel.end()
    assert started.daemon.exit_code() == 0
    assert "Traceback" not in started.daemon.output


def test_a_second_sigterm_does_not_wait(started: ProxiedClusters) -> None:
    """Who says it twice does not want to wait for streams; exit code 0 all the same."""
    upstream = started.upstreams["a"]
    upstream.reply = never_answer
    watch, idle = started.connect(), started.connect()
    watch.send(head("/api/v1/pods?watch=true"))
    upstream.wait(lambda: bool(upstream.complete()), "the watch")
    started.daemon.signal(signal.SIGTERM)
    idle.end()
    started.daemon.signal(signal.SIGTERM)
    assert watch.end()
    assert started.daemon.exit_code() == 0


def test_readyz_tells_of_draining(started: ProxiedClusters) -> None:
    """While streams are waited for /readyz is 503, so that a load balancer sends nobody."""
    upstream = started.upstreams["a"]
    upstream.reply = never_answer
    watch, idle = started.connect(), started.connect()
    watch.send(head("/api/v1/pods?watch=true"))
    upstream.wait(lambda: bool(upstream.complete()), "the watch")
    assert started.daemon.get("/readyz")[0] == 200
    started.daemon.signal(signal.SIGTERM)
    idle.end()
    idle.close()
    status, text = started.daemon.get("/readyz")
    assert status == 503
    assert "draining" in text
    watch.close()
    assert started.daemon.exit_code() == 0


def test_sighup_reloads_and_kills_nothing(started: ProxiedClusters) -> None:
    """SIGHUP takes up a changed configuration; connections and streams go on."""
    daemon, upstream = started.daemon, started.upstreams["a"]
    upstream.reply = switch_and_echo("websocket")
    raw = head("/api/v1/namespaces/d/pods/x/exec", "Connection: Upgrade", "Upgrade: websocket")
    with closing(started.connect()) as kept, closing(started.connect()) as tunnel:
        assert tunnel.request(raw).status == 101
        upstream.reply = answer
        assert kept.request(head("/version")).status == 200
        assert ask(started, "/d/version", server_name=FRONT).status == 404
        started.config["clusters"][2]["name"] = "d"
        started.write_config()
        daemon.signal(signal.SIGHUP)
        daemon.stdout.wait_for("configuration reloaded")
        assert ask(started, "/d/version", server_name=FRONT).status == 200
        assert ask(started, "/c/version", server_name=FRONT).status == 404
        assert kept.request(head("/version")).status == 200
        tunnel.send(b"still here")
        tunnel.hear(b"still here")
    daemon.stop()


@pytest.mark.parametrize("damage", [FIVE_MISTAKES, "listen: ["], ids=["five mistakes", "broken"])
def test_a_reload_that_does_not_validate_changes_nothing(damage: str, started: ProxiedClusters) -> None:
    """The problems go to the log, the configuration in force stays (law 9)."""
    started.config_file.write_text(damage)
    started.daemon.signal(signal.SIGHUP)
    started.daemon.stdout.wait_for(r"configuration not reloaded.*kubeoidcproxy\.yaml:\d+")
    assert ask(started, "/version").status == 200
    started.daemon.stop()
