"""The head that goes upstream (laws 1 and 2)."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import parse_request
from kubeoidcproxy.identity import UserInfo
from kubeoidcproxy.impersonation.headers import outgoing
from kubeoidcproxy.relay.rewrite import Additions, assert_safe, upstream_head

OURS = Additions(
    host=b"10.0.0.1:6443",
    authorization=b"Bearer own",
    impersonation=outgoing(UserInfo("alice", ("dev",))),
    audit_id=b"id-1",
    source=b"192.0.2.7",
)
TAIL = (
    b"X-Forwarded-For: 192.0.2.7\r\nAudit-ID: id-1\r\nAuthorization: Bearer own\r\n"
    b"Impersonate-User: alice\r\nImpersonate-Group: dev\r\nImpersonate-Group: system:authenticated\r\n\r\n"
)


def rewritten(*lines: bytes, additions: Additions = OURS, start: bytes = b"GET /p/api HTTP/1.1") -> bytes:
    raw = b"\r\n".join([start, b"Host: a.example", b"Authorization: Bearer client", *lines]) + b"\r\n\r\n"
    return upstream_head(parse_request(raw), b"/api", additions)


def test_law_1_the_finished_head_says_exactly_who_acts() -> None:
    assert rewritten(b"accept:  x ", b"User-Agent: kubectl") == (
        b"GET /api HTTP/1.1\r\nHost: 10.0.0.1:6443\r\naccept:  x \r\nUser-Agent: kubectl\r\n" + TAIL
    )


@pytest.mark.parametrize(
    "line",
    [
        b"Impersonate-User: admin",
        b"IMPERSONATE-GROUP: system:masters",
        b"Impersonate-Uid: 1",
        b"impersonate-extra-x: 1",
        b"Impersonate-Foo: 1",
        b"X-Remote-User: admin",
        b"x-remote-group: system:masters",
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Client-Cert: x",
        b"Forwarded: for=1.2.3.4",
        b"X-Real-Ip: 1.2.3.4",
        b"Audit-ID: forged",
        b"Proxy-Authorization: Basic eA==",
        b"Keep-Alive: 5",
        b"TE: trailers",
        b"Trailer: Impersonate-User",
        b"Upgrade: h2c",
        b"Connection: X-Own\r\nX-Own: 1",
        b"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eA",
    ],
)
def test_law_2_nothing_of_this_reaches_the_api_server(line: bytes) -> None:
    assert rewritten(line) == b"GET /api HTTP/1.1\r\nHost: 10.0.0.1:6443\r\n" + TAIL


def test_cookies_and_bodies_framing_pass() -> None:
    head = rewritten(b"Cookie: a=b", b"Content-Length: 3", b"Expect: 100-continue")
    assert b"\r\nCookie: a=b\r\nContent-Length: 3\r\nExpect: 100-continue\r\n" in head


def test_an_upgrade_is_said_anew_and_the_bearer_protocol_is_taken_out() -> None:
    head = rewritten(
        b"Connection: upgrade",
        b"Upgrade: WebSocket",
        b"Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA,v4.channel.k8s.io",
    )
    assert b"\r\nSec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n" in head
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
    assert b"bearer.authorization" not in head


def test_a_client_certificate_is_a_credential_without_a_header() -> None:
    head = rewritten(additions=dataclasses.replace(OURS, authorization=None))
    assert b"uthorization" not in head


def test_a_cluster_without_impersonation_gets_none() -> None:
    assert b"mpersonate" not in rewritten(
        b"Impersonate-User: x", additions=dataclasses.replace(OURS, impersonation=b"")
    )


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda head: head.replace(b"Impersonate-User: alice\r\n", b""),
        lambda head: head.replace(b"Impersonate-User: alice", b"Impersonate-User: "),
        lambda head: head.replace(b"Host:", b"impersonate-uid: 0\r\nHost:"),
        lambda head: head.replace(b"Host:", b"IMPERSONATE-USER: root\r\nHost:"),
        lambda head: head.replace(b"Host:", b"authorization: Bearer x\r\nHost:"),
        lambda head: head.replace(b"Authorization: Bearer own\r\n", b""),
        lambda head: head.replace(b"Host:", b"X: a\nImpersonate-Group: g\r\nHost:"),
        lambda head: head.replace(b"Host:", b"X: a\rImpersonate-Group: g\r\nHost:"),
        lambda head: head.replace(b"Audit-ID", b"\r\nAudit-ID"),
        lambda head: head + b"x",
    ],
)
def test_law_1_a_head_that_says_anything_else_is_not_sent(spoilt) -> None:  # type: ignore[no-untyped-def]
    finished = spoilt(rewritten())
    with pytest.raises(Rejection) as caught:
        assert_safe(finished, OURS)
    assert caught.value.status == 500


@pytest.mark.parametrize(
    "additions",
    [
        dataclasses.replace(OURS, impersonation=b"Impersonate-User: \r\n"),
        dataclasses.replace(OURS, impersonation=b"Impersonate-Group: dev\r\n"),
        dataclasses.replace(OURS, impersonation=b"Impersonate-User: a\r\nImpersonate-User: b\r\n"),
        dataclasses.replace(OURS, impersonation=b"Impersonate-User: a\r\nIMPERSONATE-USER: b\r\n"),
        dataclasses.replace(OURS, impersonation=b"Impersonate-User: a\r\nauthorization: Bearer b\r\n"),
        dataclasses.replace(OURS, impersonation=b"Impersonate-User: a\r\nImpersonate-Group\r\n: b\r\n"),
        dataclasses.replace(OURS, authorization=None, impersonation=b"Impersonate-User: a\r\nAuthorization: b\r\n"),
        dataclasses.replace(OURS, impersonation=b"Impersonate-User: a\r\n\r\nGET / HTTP/1.1\r\n"),
        dataclasses.replace(OURS, authorization=b""),
        dataclasses.replace(OURS, authorization=b"Bearer x\r\nImpersonate-Group: y"),
        dataclasses.replace(OURS, source=b"1\nX: 2"),
    ],
)
def test_law_1_additions_that_are_not_what_they_claim_are_not_sent(additions: Additions) -> None:
    with pytest.raises(Rejection):
        rewritten(additions=additions)


names = st.sampled_from([b"Impersonate-User", b"impersonate-group", b"Authorization", b"X-A", b"Connection", b"Host"])


@given(st.lists(st.tuples(names, st.sampled_from([b"", b"x", b"close", b"Impersonate-User", b"X-A"])), max_size=6))
def test_no_client_head_changes_who_acts(fields: list[tuple[bytes, bytes]]) -> None:
    raw = b"GET / HTTP/1.1\r\n" + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n"
    try:
        head = parse_request(raw)
    except Malformed:
        return
    finished = upstream_head(head, b"/", OURS)
    assert finished.endswith(TAIL)
    of_the_client = finished.removesuffix(TAIL).lower()
    assert b"\r\nimpersonate" not in of_the_client
    assert b"\r\nauthorization" not in of_the_client
