"""Which cluster a request means (policy P4)."""

from __future__ import annotations

import pytest

from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.routing import Route, Routing, host_name

ROUTES = (
    Route("prod", ("prod.k8s.example", "*.prod.example")),
    Route("dev", ("dev.prod.example",)),
    Route("sni-only", ("sni.example",), path_prefix=False),
)
ROUTING = Routing(ROUTES)


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        ("prod.k8s.example", "prod"),
        ("x.prod.example", "prod"),
        ("dev.prod.example", "dev"),
        ("a.b.prod.example", None),
        ("prod.example", None),
        ("proxy.example", None),
        (None, None),
    ],
)
def test_a_server_name_is_exact_before_wildcard_and_a_wildcard_is_one_label(name: str | None, cluster: str) -> None:
    assert ROUTING.named(name) == cluster


@pytest.mark.parametrize(
    ("name", "target", "cluster", "upstream"),
    [
        ("prod.k8s.example", b"/dev/api", "prod", b"/dev/api"),
        ("proxy.example", b"/dev/api?x=/prod", "dev", b"/api?x=/prod"),
        (None, b"/dev", "dev", b"/"),
        (None, b"/dev?x", "dev", b"/?x"),
        (None, b"/dev//api", "dev", b"//api"),
        (None, b"/d%65v/api", None, b"/d%65v/api"),
        (None, b"/DEV/api", None, b"/DEV/api"),
        (None, b"/devel/api", None, b"/devel/api"),
        (None, b"/sni-only/api", None, b"/sni-only/api"),
        (None, b"/api", None, b"/api"),
    ],
)
def test_the_name_decides_then_the_prefix(name: str | None, target: bytes, cluster: str, upstream: bytes) -> None:
    assert ROUTING.choose(name, target) == (cluster, upstream)


def test_the_default_serves_what_names_none() -> None:
    routing = Routing(ROUTES, "prod")
    assert routing.choose(None, b"/api") == ("prod", b"/api")
    assert routing.choose(None, b"/dev/api") == ("dev", b"/api")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"Prod.K8s.Example.:6443", "prod.k8s.example"),
        (b"127.0.0.1:8443", "127.0.0.1"),
        (b"[::1]:8443", "[::1]"),
        (b"localhost", "localhost"),
    ],
)
def test_host(host: bytes, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    "host", [b"", b"a:80x", b"a:99999", b"a/x", b"u@a", b"a, b", b"%61", b"\xffa", b"a:", b"[::1", b"a b", b"a\x00"]
)
def test_no_host(host: bytes) -> None:
    with pytest.raises(Malformed):
        host_name(host)
