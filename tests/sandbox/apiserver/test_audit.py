"""The audit log, as kube-apiserver 1.35 writes it for the same requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox.apiserver.conversation import SHOP, Conversation, manifest

from kubeoidcproxy.sandbox.apiserver.audit import source_ips
from kubeoidcproxy.sandbox.apiserver.request import Request

CONFIGMAPS = "/api/v1/namespaces/shop/configmaps"


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    return Conversation(tmp_path, SHOP)


def test_one_event_a_request(conversation: Conversation) -> None:
    answer = conversation.ask("GET", f"{CONFIGMAPS}?limit=5", ("Audit-ID", "a b'\""), ("User-Agent", "kubectl/x"))
    assert answer.headers["audit-id"] == "a b'\""
    (event,) = conversation.audit_events()
    received = event.pop("requestReceivedTimestamp")
    assert received.startswith("2027-01-15T08:00:00.")
    assert event.pop("stageTimestamp") == received
    assert event == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "a b'\"",
        "stage": "ResponseComplete",
        "requestURI": f"{CONFIGMAPS}?limit=5",
        "verb": "list",
        "user": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "sourceIPs": ["192.168.1.1"],
        "userAgent": "kubectl/x",
        "objectRef": {"resource": "configmaps", "namespace": "shop", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }


def test_an_impersonated_request_has_both_users(conversation: Conversation) -> None:
    conversation.ask("GET", CONFIGMAPS, ("Impersonate-User", "alice"), ("Impersonate-Uid", "7"))
    (event,) = conversation.audit_events()
    assert event["user"]["username"] == "admin"
    assert event["impersonatedUser"] == {"username": "alice", "uid": "7", "groups": ["system:authenticated"]}
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert event["responseStatus"]["reason"] == "Forbidden"


def test_a_refused_impersonation_has_neither_the_user_nor_a_decision(conversation: Conversation) -> None:
    conversation.ask("GET", CONFIGMAPS, ("Impersonate-User", "alice"), token="eve")
    (event,) = conversation.audit_events()
    assert "impersonatedUser" not in event
    assert "annotations" not in event


def test_a_401_has_one_event_in_another_stage(conversation: Conversation) -> None:
    conversation.ask("GET", CONFIGMAPS, token=None)
    (event,) = conversation.audit_events()
    assert (event["stage"], event["user"], event["responseStatus"]["code"]) == ("ResponseStarted", {}, 401)


def test_a_long_request_has_two_events(conversation: Conversation) -> None:
    connection, _ = conversation.connect()
    connection.dataReceived(
        b"GET /api/v1/namespaces/shop/pods?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n"
    )
    assert [event["stage"] for event in conversation.audit_events()] == ["ResponseStarted"]
    conversation.clock.advance(2000)
    assert [event["stage"] for event in conversation.audit_events()] == ["ResponseStarted", "ResponseComplete"]


def test_what_is_created_is_named_by_its_body(conversation: Conversation) -> None:
    conversation.ask("POST", CONFIGMAPS, body=manifest("ConfigMap", "new"))
    (event,) = conversation.audit_events()
    assert event["objectRef"]["name"] == "new"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), ["9.9.9.9"]),
        ((("x-forwarded-for", "1.2.3.4, junk, ::1"), ("x-forwarded-for", "5.5.5.5")), ["1.2.3.4", "::1", "9.9.9.9"]),
        ((("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "2.2.2.2")), ["1.2.3.4", "2.2.2.2", "9.9.9.9"]),
        ((("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=1.1.1.1")), ["9.9.9.9"]),
    ],
)
def test_source_ips(headers: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    assert source_ips(Request("GET", "/", headers, peer="9.9.9.9")) == expected


def test_a_long_user_agent_is_cut(conversation: Conversation) -> None:
    conversation.ask("GET", "/version", ("User-Agent", "a" * 1100))
    assert conversation.audit_events()[0]["userAgent"] == "a" * 1024 + "...TRUNCATED"
