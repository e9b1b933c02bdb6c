"""What clients meet first: certificates by server name, ALPN, versions; and which cluster a name or a path means."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Issued
from cryptography import x509
from whole import client as clients
from whole.client import Answer, closing
from whole.daemon import DOMAIN, FRONT, A, B, ProxiedClusters, people
from whole.upstream import PATIENCE


def shown_to(clusters: ProxiedClusters, server_name: str | None) -> str:
    """The first name in the certificate that a client of this server name sees."""
    with closing(clusters.connect(server_name)) as client:
        return first_name(client.tls)


def first_name(tls: ssl.SSLSocket) -> str:
    certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0]


@pytest.mark.parametrize(
    ("server_name", "name"),
    [
        (A, A),
        (A.upper(), A),
        (B, f"*.{DOMAIN}"),
        (f"anything.{DOMAIN}", f"*.{DOMAIN}"),
        (FRONT, FRONT),
        (None, FRONT),
    ],
    ids=["exact", "upper case", "wildcard", "nobody's, but covered", "first", "without SNI"],
)
def test_the_server_name_picks_the_certificate(server_name: str | None, name: str, clusters: ProxiedClusters) -> None:
    """Exact before wildcard; clients without a server name get the first certificate."""
    assert shown_to(clusters, server_name) == name


@pytest.mark.parametrize("server_name", ["example.com", f"two.labels.{DOMAIN}", DOMAIN])
def test_a_name_without_a_certificate_is_an_alert(server_name: str, clusters: ProxiedClusters) -> None:
    """A server name that no certificate covers ends in unrecognized_name, never in the default certificate."""
    with pytest.raises(ssl.SSLError) as failure:
        clusters.connect(server_name)
    assert "unrecognized name" in str(failure.value)


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "http/1.1"), ((), None)]
)
def test_alpn_is_http_1_1(offered: tuple[str, ...], chosen: str | None, clusters: ProxiedClusters) -> None:
    """HTTP/2 clients step down; a client without ALPN is served as well."""
    with closing(clusters.connect(A, alpn=offered)) as client:
        assert client.tls.selected_alpn_protocol() == chosen
        assert get(client, "/version", host=A).status == 200


def test_a_client_of_other_protocols_gets_an_alert(clusters: ProxiedClusters) -> None:
    """A client that offers only what we do not speak ends in no_application_protocol."""
    with pytest.raises(ssl.SSLError) as failure:
        clusters.connect(A, alpn=("h2", "spdy/3.1"))
    assert "no application protocol" in str(failure.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_both_versions_are_served_and_nothing_is_resumed(version: ssl.TLSVersion, clusters: ProxiedClusters) -> None:
    """TLS 1.2 and 1.3; a session is never resumed, for it could carry one name's session to another (P14)."""
    context = clients.context(clusters.authority.pem)
    context.minimum_version = context.maximum_version = version
    session = None
    for _ in range(2):
        with (
            socket.create_connection(clusters.daemon.address, timeout=PATIENCE) as tcp,
            context.wrap_socket(tcp, server_hostname=A, session=session) as tls,
        ):
            assert tls.version() == f"TLSv{version.name[4:].replace('_', '.')}"
            assert not tls.session_reused
            tls.sendall(b"GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert tls.recv(12) == b"HTTP/1.1 401"
            session = tls.session


def test_plain_http_is_no_tls(clusters: ProxiedClusters) -> None:
    """A client that speaks HTTP to the TLS port is cut, and the next one served."""
    with socket.create_connection(clusters.daemon.address, timeout=PATIENCE) as tcp:
        tcp.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP/1.1 2" not in tcp.recv(1000)
    assert shown_to(clusters, A) == A


# Which cluster.


def get(client: clients.Client, target: str, *, host: str, token: str | None = "") -> Answer:
    credentials = "" if token is None else f"Authorization: Bearer {token or people().token('user1')}\r\n"
    return client.request(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{credentials}\r\n".encode())


def served_by(clusters: ProxiedClusters, server_name: str | None, host: str, target: str) -> tuple[int, list[str]]:
    """The status, and what which cluster was asked for."""
    for upstream in clusters.upstreams.values():
        upstream.begin()
    with closing(clusters.connect(server_name)) as client:
        status = get(client, target, host=host).status
    for upstream in clusters.upstreams.values():
        upstream.settle()
    return status, [f"{name} {r.target}" for name, upstream in clusters.upstreams.items() for r in upstream.requests()]


PODS = "/api/v1/pods?limit=1"


@pytest.mark.parametrize(
    ("server_name", "host", "target", "asked"),
    [
        (A, A, PODS, f"a {PODS}"),
        (B, B, PODS, f"b {PODS}"),
        (B, "elsewhere.example", PODS, f"b {PODS}"),
        (FRONT, FRONT, f"/a{PODS}", f"a {PODS}"),
        (FRONT, FRONT, f"/b{PODS}", f"b {PODS}"),
        (FRONT, FRONT, f"/c{PODS}", f"c {PODS}"),
        (FRONT, FRONT, "/c", "c /"),
        (FRONT, FRONT, "/c?timeout=5s", "c /?timeout=5s"),
        (None, "127.0.0.1", f"/c{PODS}", f"c {PODS}"),
        (f"anything.{DOMAIN}", f"anything.{DOMAIN}", f"/c{PODS}", f"c {PODS}"),
        (A, A, "/c/api/v1/pods", "a /c/api/v1/pods"),
    ],
)
def test_a_name_or_a_path_means_a_cluster(
    server_name: str | None, host: str, target: str, asked: str, clusters: ProxiedClusters
) -> None:
    """The server name decides; where it is no cluster's, the first path segment, which the cluster does not see."""
    assert served_by(clusters, server_name, host, target) == (200, [asked])


@pytest.mark.parametrize(
    ("server_name", "host", "target", "status"),
    [
        (FRONT, FRONT, f"/d{PODS}", 404),
        (FRONT, FRONT, PODS, 404),
        (FRONT, FRONT, f"/%63{PODS}", 404),
        (FRONT, FRONT, f"//c{PODS}", 400),
        (FRONT, FRONT, f"/c/..{PODS}", 400),
        (A, B, PODS, 421),
        (FRONT, A, f"/c{PODS}", 421),
        (None, A, PODS, 421),
    ],
)
def test_what_means_no_cluster_goes_nowhere(
    server_name: str | None, host: str, target: str, status: int, clusters: ProxiedClusters
) -> None:
    """An unknown cluster is 404, a Host that names another cluster 421, a path that hides something 400."""
    assert served_by(clusters, server_name, host, target) == (status, [])


@pytest.mark.parametrize(("server_name", "host"), [(FRONT, FRONT), (A, B)])
def test_strangers_learn_nothing_of_clusters(server_name: str, host: str, clusters: ProxiedClusters) -> None:
    """Without a valid token it is 401, whether the cluster is there or not."""
    with closing(clusters.connect(server_name)) as client:
        answered = get(client, f"/d{PODS}", host=host, token=None)
    assert answered.status == 401
    assert answered.values("WWW-Authenticate") == ["Bearer"]
    assert json.loads(answered.body)["reason"] == "Unauthorized"


# Certificates that change.


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[ProxiedClusters]:
    running = ProxiedClusters(tmp_path)
    try:
        yield running.start()
    finally:
        running.stop()


def replace(path: Path, text: str) -> None:
    """As certbot and cert-manager do it: whole, by a rename."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").chmod(0o600)
    path.with_suffix(".new").rename(path)


def serial_shown(clusters: ProxiedClusters) -> int:
    with closing(clusters.connect(A)) as client:
        return x509.load_der_x509_certificate(client.tls.getpeercert(binary_form=True) or b"").serial_number


def serial_of(issued: Issued) -> int:
    return x509.load_pem_x509_certificate(issued.cert_pem.encode()).serial_number


def test_a_renewed_certificate_is_used_without_a_restart(changing: ProxiedClusters) -> None:
    """New connections get it within 10 s; a half-written file changes nothing but the log; open ones go on."""
    before, renewed = serial_shown(changing), changing.authority.issue(A)
    certificate, key = changing.folder / "a.crt", changing.folder / "a.key"
    with closing(changing.connect()) as client:
        assert get(client, "/version", host=A).status == 200
        since = changing.daemon.stdout.size
        replace(certificate, renewed.cert_pem[: len(renewed.cert_pem) // 2])
        changing.daemon.stdout.wait_for(r"certificate is left out.*a\.crt", since=since)
        assert serial_shown(changing) == before
        replace(key, renewed.key_pem)
        began = time.monotonic()
        replace(certificate, renewed.cert_pem)
        while serial_shown(changing) == before:
            assert time.monotonic() - began < 10
        assert serial_shown(changing) == serial_of(renewed)
        assert get(client, "/version", host=A).status == 200


def test_a_certificate_renewed_again_and_again_is_always_the_last(changing: ProxiedClusters) -> None:
    """A change that comes while another is being taken up is not missed."""
    for _ in range(3):
        renewed = changing.authority.issue(A)
        replace(changing.folder / "a.key", renewed.key_pem)
        replace(changing.folder / "a.crt", renewed.cert_pem)
    began = time.monotonic()
    while serial_shown(changing) != serial_of(renewed):
        assert time.monotonic() - began < 10
