"""Exactly which header fields the API server gets, on the raw bytes (reference/peers.md 6.2, cases 10 to 12)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from whole.client import Answer, closing
from whole.daemon import OWN_TOKEN, A, ProxiedClusters, numbered, people
from whole.upstream import Request

AUDIT_ID = re.compile(rb"Audit-ID: [0-9a-f]{16}-[0-9]+")
GROUP = b"Impersonate-Group: "
EVERYBODY = GROUP + b"system:authenticated"


def ask(clusters: ProxiedClusters, token: str, *fields: str) -> tuple[Answer, list[Request]]:
    """One GET with this token and these field lines, its answer, and what came of it upstream."""
    upstream = clusters.upstreams["a"]
    upstream.begin()
    lines = ["GET /api/v1/pods?limit=5 HTTP/1.1", f"Host: {A}", f"Authorization: Bearer {token}", *fields, "", ""]
    with closing(clusters.connect()) as client:
        answer = client.request("\r\n".join(lines).encode("latin-1"))
    upstream.settle()
    return answer, upstream.requests()


def forwarded(clusters: ProxiedClusters, token: str, *fields: str) -> Request:
    answer, requests = ask(clusters, token, *fields)
    assert answer.status == 200, answer.raw
    assert len(requests) == 1
    return requests[0]


def assert_fields(clusters: ProxiedClusters, request: Request, *expected: bytes) -> None:
    """These lines, and besides them only what every request has: in any order, but for the groups."""
    always = [
        b"Host: 127.0.0.1:%d" % clusters.upstreams["a"].port,
        b"Authorization: Bearer " + OWN_TOKEN.encode(),
        b"X-Forwarded-For: 127.0.0.1",
    ]
    audit_ids = [line for line in request.lines if line.lower().startswith(b"audit-id")]
    assert len(audit_ids) == 1
    assert AUDIT_ID.fullmatch(audit_ids[0])
    assert sorted(request.lines) == sorted([*always, *audit_ids, *expected])
    assert [line for line in request.lines if line.startswith(GROUP)] == [e for e in expected if e.startswith(GROUP)]
    assert request.head.startswith(b"GET /api/v1/pods?limit=5 HTTP/1.1\r\n")


def test_a_user_alone(clusters: ProxiedClusters) -> None:
    """A token without groups: the user, and system:authenticated, which the API server would not add by itself."""
    request = forwarded(clusters, people().token("user1"))
    assert_fields(clusters, request, b"Impersonate-User: user1", EVERYBODY)


def test_groups_keep_their_order(clusters: ProxiedClusters) -> None:
    """Groups go on in the token's order, system:authenticated behind them."""
    request = forwarded(clusters, people().token("user1", groups=["ops", "dev", "admins"]))
    groups = [GROUP + name for name in (b"ops", b"dev", b"admins")]
    assert_fields(clusters, request, b"Impersonate-User: user1", *groups, EVERYBODY)


def test_one_group_as_a_string(clusters: ProxiedClusters) -> None:
    """A groups claim that is one string is one group."""
    request = forwarded(clusters, people().token("user1", groups="dev"))
    assert_fields(clusters, request, b"Impersonate-User: user1", GROUP + b"dev", EVERYBODY)


def test_system_authenticated_is_sent_once_and_last(clusters: ProxiedClusters) -> None:
    """A token that claims system:authenticated claims nothing: the group is sent once, last, as always."""
    request = forwarded(clusters, people().token("user1", groups=["system:authenticated", "dev"]))
    assert_fields(clusters, request, b"Impersonate-User: user1", GROUP + b"dev", EVERYBODY)


def test_a_mapped_uid(clusters: ProxiedClusters) -> None:
    """A mapped uid goes upstream as Impersonate-Uid."""
    request = forwarded(clusters, numbered().token("user1", uid="4711"))
    assert_fields(clusters, request, b"Impersonate-User: user1", EVERYBODY, b"Impersonate-Uid: 4711")


def test_names_beyond_ascii(clusters: ProxiedClusters) -> None:
    """Names go upstream as UTF-8, as kube-apiserver reads them."""
    request = forwarded(clusters, people().token("jürgen", groups=["größe"]))
    assert_fields(clusters, request, "Impersonate-User: jürgen".encode(), GROUP + "größe".encode(), EVERYBODY)


def test_harmless_fields_pass_as_they_came(clusters: ProxiedClusters) -> None:
    """What says nothing of the caller goes on byte for byte; Cookie too, for services behind "proxy"."""
    fields = (
        "Accept:application/json",
        "user-agent:  kubectl/v1.33 ",
        "Cookie: session=1",
        "X-Custom: a",
        "X-Custom: b",
    )
    request = forwarded(clusters, people().token("user1"), *fields)
    assert_fields(clusters, request, b"Impersonate-User: user1", EVERYBODY, *(field.encode() for field in fields))


@pytest.mark.parametrize(
    "fields",
    [
        ("X-Remote-User: admin", "x-remote-group: system:masters", "X-REMOTE-EXTRA-scopes: all", "X-Remote-Uid: 0"),
        ("X-Forwarded-For: 10.0.0.1", "x-forwarded-for: 10.0.0.2", "X-Forwarded-Host: b", "X-Forwarded-Proto: http"),
        ("Forwarded: for=10.0.0.1", "X-Real-Ip: 10.0.0.1", "X-Forwarded-Client-Cert: Subject=admin"),
        ("Audit-ID: 11111111-2222-3333-4444-555555555555", "audit-id: again"),
        ("Proxy-Authorization: Bearer x", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=5", "TE: trailers"),
        ("Connection: keep-alive, X-Custom", "X-Custom: named away"),
    ],
    ids=["X-Remote", "X-Forwarded", "other origins", "Audit-ID", "hop by hop", "named by Connection"],
)
def test_what_a_client_may_not_say_is_left_out(clusters: ProxiedClusters, fields: tuple[str, ...]) -> None:
    """Identity, origin, the audit id and the hop are ours to say: such fields do not reach the API server."""
    request = forwarded(clusters, people().token("user1"), *fields)
    assert_fields(clusters, request, b"Impersonate-User: user1", EVERYBODY)


IMPERSONATION = [
    ("Impersonate-User: admin", 403),
    ("impersonate-user: admin", 403),
    ("IMPERSONATE-USER: admin", 403),
    ("iMpErSoNaTe-UsEr:\tadmin", 403),
    ("Impersonate-User: user1", 403),
    ("Impersonate-User: admin\r\nImpersonate-Group: system:masters", 403),
    ("Impersonate-User: admin\r\nIMPERSONATE-UID: 0", 403),
    ("Impersonate-User: admin\r\nimpersonate-extra-a%2Fb: all", 403),
    ("Impersonate-User:", 400),
    ("Impersonate-User: \xff", 400),
    ("Impersonate-Group: system:masters", 400),
    ("IMPERSONATE-GROUP: system:masters", 400),
    ("Impersonate-Uid: 0", 400),
    ("impersonate-uid: 0", 400),
    ("Impersonate-Extra-scopes: all", 400),
    ("Impersonate-Foo: bar", 400),
    ("Impersonate-User: admin\r\nImpersonate-Foo: bar", 400),
    ("Impersonate: admin", 400),
    ("Impersonate.User: admin", 400),
    ("Impersonate_User: admin", 400),
    ("Connection: Impersonate-User", 400),
    ("Connection: impersonate-group", 400),
    ("Connection: keep-alive, Impersonate-Uid", 400),
    ("Connection: Authorization", 400),
    ("Connection: Audit-ID", 400),
    ("Connection: X-Remote-User", 400),
]


@pytest.mark.parametrize(("field", "status"), IMPERSONATION, ids=[ascii(field) for field, _ in IMPERSONATION])
def test_a_client_cannot_impersonate(clusters: ProxiedClusters, field: str, status: int) -> None:
    """Impersonate-* of a client, in any spelling, is refused, and so is a Connection that names a field of ours.

    403 where kube would look whether the caller may; 400 without a user to impersonate, and for an unknown name.
    """
    answer, requests = ask(clusters, people().token("user1"), field)
    assert answer.status == status
    assert requests == []


def test_a_second_authorization_is_refused(clusters: ProxiedClusters) -> None:
    """Two credentials can be read in two ways: 400, whatever the second one is, and nothing goes upstream."""
    for second in ("Basic YWRtaW46YWRtaW4=", f"Bearer {people().token('user2')}", ""):
        answer, requests = ask(clusters, people().token("user1"), f"Authorization: {second}")
        assert answer.status == 400
        assert requests == []


def test_a_bearer_among_websocket_protocols_never_goes_upstream(clusters: ProxiedClusters) -> None:
    """The bearer sub-protocol is a credential to the API server: it is taken out, or the request refused."""
    entry = "base64url.bearer.authorization.k8s.io.Zm9yZ2Vk"
    _, requests = ask(clusters, people().token("user1"), f"Sec-WebSocket-Protocol: v5.channel.k8s.io, {entry}")
    assert not any(entry.encode() in request.head for request in requests)


RESERVED: list[dict[str, Any]] = [
    {"subject": "user1", "groups": ["system:masters"]},
    {"subject": "user1", "groups": ["dev", "system:masters"]},
    {"subject": "user1", "groups": "system:nodes"},
    {"subject": "system:serviceaccount:kube-system:x"},
    {"subject": "system:admin"},
    {"subject": "system:anonymous", "groups": ["system:authenticated"]},
]


@pytest.mark.parametrize("identity", RESERVED, ids=[f"{r['subject']} {r.get('groups', '')}" for r in RESERVED])
@pytest.mark.parametrize("field", [(), ("Impersonate-User: user2",)], ids=["as itself", "as another"])
def test_reserved_identities_are_forbidden(
    clusters: ProxiedClusters, identity: dict[str, Any], field: tuple[str, ...]
) -> None:
    """A system: name out of a token gets 403, with and without --as; nothing reaches the API server."""
    answer, requests = ask(clusters, people().token(**identity), *field)
    assert answer.status == 403
    assert b"reserved" in answer.body
    assert requests == []


@pytest.mark.parametrize(
    "subject", ["", " ", " user1", "user1\n", "user1\r\nImpersonate-Group: system:masters", "a\x85b"]
)
def test_names_that_no_header_can_hold_are_unauthorized(clusters: ProxiedClusters, subject: str) -> None:
    """An empty name would mean no impersonation, a control character another name: 401, nothing upstream."""
    answer, requests = ask(clusters, people().token(subject))
    assert answer.status == 401
    assert requests == []
