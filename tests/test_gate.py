"""From a head to its way upstream: which refusal comes first, and what a request may do."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from kubeoidcproxy.clusters.cluster import Cluster
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.gate import Reach, RequestGate
from kubeoidcproxy.http1.request import parse_request
from kubeoidcproxy.identity import Caller, UserInfo
from kubeoidcproxy.interfaces import Passage
from kubeoidcproxy.routing import Route, Routing

POOL: Any = object()


class Own:
    def authorization(self) -> bytes:
        return b"Bearer own"


def cluster(name: str, **conditions: Any) -> Cluster:
    return Cluster(
        name=name,
        host=b"10.0.0.1:6443",
        base_path=conditions.get("base_path", b""),
        issuers=conditions.get("issuers"),
        audiences=conditions.get("audiences"),
        response_timeout=90.0,
        credential=Own(),
        pool=POOL,
    )


class World:
    """A gate over clusters a (by SNI), b (by SNI, one issuer only) and c (by path, one audience only)."""

    def __init__(self) -> None:
        self.known: dict[bytes, Caller] = {b"tok": caller()}
        self.unknown: dict[bytes, Deferred[Caller]] = {}
        self.held: Awaitable[None] | None = None
        clusters = [
            cluster("a"),
            cluster("b", issuers=frozenset({"https://other"})),
            cluster("c", audiences=frozenset({"aud-c"}), base_path=b"/base"),
        ]
        routing = Routing([Route("a", ("a.example",)), Route("b", ("b.example",)), Route("c")])
        reach = Reach(routing, {c.name: c for c in clusters})
        self.gate = RequestGate(reach=reach, authenticator=self, admission=self)
        self.exchange = Exchange("id-1", "192.0.2.7", 0.0, 0.0)

    def recall(self, token: bytes) -> Caller | None:
        return self.known.get(token)

    def authenticate(self, token: bytes) -> Deferred[Caller]:
        return self.unknown.get(token) or fail(Rejection(401, "Unauthorized: bad token"))

    def admit(self, exchange: Exchange) -> Awaitable[None] | None:
        return self.held

    def decide(
        self, *lines: bytes, target: bytes = b"/api", host: bytes = b"a.example", sni: str | None = "a.example",
        token: bytes | None = b"tok", method: bytes = b"GET",
    ) -> Passage | Deferred[Passage]:  # fmt: skip
        start = [method + b" " + target + b" HTTP/1.1", b"Host: " + host]
        if token is not None:
            start.append(b"Authorization: Bearer " + token)
        head = parse_request(b"\r\n".join([*start, *lines]) + b"\r\n\r\n")
        return self.gate.decide(head, sni, self.exchange)

    def refusal(self, *lines: bytes, **request: Any) -> Rejection:
        try:
            decided = self.decide(*lines, **request)
        except Rejection as rejection:
            return rejection
        assert isinstance(decided, Deferred)
        caught: list[Any] = []
        decided.addErrback(caught.append)
        assert isinstance(caught[0].value, Rejection)
        return caught[0].value


def caller(issuer: str = "https://issuer", audiences: tuple[str, ...] = ("kubernetes",)) -> Caller:
    return Caller(UserInfo("alice", ("dev",)), issuer, audiences, "alice", "", 2e9, b"f")


@pytest.fixture
def world() -> World:
    return World()


def test_a_known_caller_goes_on_at_once(world: World) -> None:
    passage = world.decide(target=b"/api/v1/pods?x=1")
    assert isinstance(passage, Passage)
    assert passage.head == (
        b"GET /api/v1/pods?x=1 HTTP/1.1\r\nHost: 10.0.0.1:6443\r\nX-Forwarded-For: 192.0.2.7\r\nAudit-ID: id-1\r\n"
        b"Authorization: Bearer own\r\nImpersonate-User: alice\r\nImpersonate-Group: dev\r\n"
        b"Impersonate-Group: system:authenticated\r\n\r\n"
    )
    assert (passage.upstreams, passage.response_timeout) == (POOL, 90.0)
    assert (world.exchange.cluster, world.exchange.upstream_target) == ("a", "/api/v1/pods?x=1")
    assert world.exchange.caller is world.known[b"tok"]


def test_a_prefix_is_taken_off_and_the_servers_own_path_put_before(world: World) -> None:
    world.known[b"tok"] = caller(audiences=("aud-c", "x"))
    passage = world.decide(target=b"/c/api", sni="proxy.example", host=b"proxy.example")
    assert isinstance(passage, Passage)
    assert passage.head.startswith(b"GET /base/api HTTP/1.1\r\n")
    assert world.exchange.upstream_target == "/api"


def test_an_unknown_token_is_verified_first(world: World) -> None:
    world.unknown[b"new"] = verified = Deferred()
    decided = world.decide(token=b"new")
    assert isinstance(decided, Deferred)
    assert not decided.called
    verified.callback(caller())
    assert isinstance(decided.result, Passage)


@pytest.mark.parametrize("token", [b"tok", b"new"])
def test_the_audit_trail_may_hold_a_request_back(world: World, token: bytes) -> None:
    held: Deferred[None] = Deferred()
    world.held = held
    world.unknown[b"new"] = succeed(caller())
    decided = world.decide(token=token)
    assert isinstance(decided, Deferred)
    assert not decided.called
    held.callback(None)
    assert isinstance(decided.result, Passage)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"target": b"/api//v1"}, 400),
        ({"target": b"/c/api//v1", "sni": None, "host": b"p"}, 400),
        ({"target": b"*"}, 400),
        ({"target": b"a.example:443"}, 400),
        ({"target": b"http://a.example/api"}, 400),
        ({"target": b"https://x.example/api"}, 400),
        ({"target": b"https://b.example/api"}, 421),
        ({"host": b"a/x"}, 400),
        ({"host": b"b.example", "token": None}, 401),
        ({"host": b"b.example", "token": b"bad"}, 401),
        ({"host": b"b.example"}, 421),
        ({"sni": None, "host": b"a.example"}, 421),
        ({"sni": None, "host": b"p", "target": b"/nowhere/api", "token": b"bad"}, 401),
        ({"sni": None, "host": b"p", "target": b"/nowhere/api"}, 404),
        ({"target": b"*", "method": b"OPTIONS"}, 404),
        ({"sni": "b.example", "host": b"b.example"}, 401),
        ({"sni": None, "host": b"p", "target": b"/c/api"}, 401),
    ],
)
def test_the_first_thing_that_is_wrong_is_what_is_said(world: World, request_: dict[str, Any], status: int) -> None:
    assert world.refusal(**request_).status == status


def test_a_caller_who_is_not_welcome_leaves_no_name(world: World) -> None:
    """The token says nothing to this cluster: the access log has AuFail."""
    assert "Unauthorized" in world.refusal(sni="b.example", host=b"b.example").message
    assert world.exchange.caller is None


def test_an_absolute_target_of_this_cluster_is_made_relative(world: World) -> None:
    passage = world.decide(target=b"https://A.example:8443/api?x")
    assert isinstance(passage, Passage)
    assert passage.head.startswith(b"GET /api?x HTTP/1.1\r\n")


def test_nobody_impersonates_yet(world: World) -> None:
    assert world.refusal(b"Impersonate-User: bob").status == 403
    assert world.refusal(b"Impersonate-Foo: bob").status == 400


def test_a_host_that_is_nobodys_is_no_matter(world: World) -> None:
    """kubectl's tls-server-name sends another name than Host."""
    assert isinstance(world.decide(host=b"127.0.0.1:8443"), Passage)
