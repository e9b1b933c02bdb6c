"""Watches, over an in-memory connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sandbox.apiserver.conversation import SHOP, Conversation, manifest, pod, read_answer, request_bytes

from kubeoidcproxy.sandbox.apiserver import watch

PODS = "/api/v1/namespaces/shop/pods"
MERGE = ("Content-Type", "application/merge-patch+json")


class Watcher:
    def __init__(self, conversation: Conversation, query: str, *headers: tuple[str, str]) -> None:
        self._conversation = conversation
        self.connection, self.transport = conversation.connect()
        self.connection.dataReceived(request_bytes("GET", f"{PODS}?watch=1&timeoutSeconds=60&{query}", *headers))

    def events(self) -> list[dict[str, Any]]:
        """End the watch and read what it said."""
        self._conversation.clock.advance(60)
        return [json.loads(line) for line in read_answer(self.transport.value()).body.splitlines()]

    def changes(self) -> list[tuple[str, str]]:
        return [(event["type"], event["object"]["metadata"]["name"]) for event in self.events()]


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    return Conversation(tmp_path, SHOP)


def change(conversation: Conversation) -> None:
    """Something that a watch of pods in shop sees, and something that it does not."""
    conversation.ask("POST", PODS, body=pod("new"))
    conversation.ask("POST", PODS.replace("shop", "default"), body=pod("elsewhere", "default"))
    conversation.ask("POST", "/api/v1/namespaces/shop/configmaps", body=manifest("ConfigMap", "x"))
    conversation.ask("DELETE", f"{PODS}/new")


def test_objects_first_then_their_changes(conversation: Conversation) -> None:
    watcher = Watcher(conversation, "")
    change(conversation)
    assert watcher.changes() == [("ADDED", "web"), ("ADDED", "new"), ("DELETED", "new")]


def test_from_a_resource_version(conversation: Conversation) -> None:
    since = conversation.ask("GET", PODS).json["metadata"]["resourceVersion"]
    change(conversation)
    assert Watcher(conversation, f"resourceVersion={since}").changes() == [("ADDED", "new"), ("DELETED", "new")]


def test_an_object_enters_and_leaves_a_selector(conversation: Conversation) -> None:
    watcher = Watcher(conversation, "labelSelector=app%3Dx")
    for labels in ({"app": "x"}, {"app": "x", "y": "z"}, {"app": "y"}):
        conversation.ask("PATCH", f"{PODS}/web", MERGE, body={"metadata": {"labels": labels}})
    assert [kind for kind, _ in watcher.changes()] == ["ADDED", "MODIFIED", "DELETED"]


def test_tables_have_their_columns_once(conversation: Conversation) -> None:
    watcher = Watcher(conversation, "", ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"))
    change(conversation)
    events = watcher.events()
    assert [event["object"]["columnDefinitions"] is None for event in events] == [False, True, True]
    assert [event["object"]["rows"][0]["cells"][0] for event in events] == ["web", "new", "new"]


def test_watch_list(conversation: Conversation) -> None:
    """Initial events, then a bookmark that says that they are over (KEP-3157)."""
    events = Watcher(conversation, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan").events()
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    refused = conversation.ask("GET", f"{PODS}?watch=1&sendInitialEvents=true")
    assert "requires setting resourceVersionMatch to NotOlderThan" in refused.message


def test_a_slow_client_waits_and_a_very_slow_one_is_cut(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MAX_WAITING", 2)
    watcher = Watcher(conversation, "")
    assert watcher.transport.producer is not None
    watcher.transport.producer.pauseProducing()
    written = watcher.transport.value()
    change(conversation)
    assert watcher.transport.value() == written
    conversation.ask("POST", PODS, body=pod("one too many"[:3]))
    assert watcher.transport.disconnecting


def test_a_client_that_leaves_is_forgotten(conversation: Conversation) -> None:
    watcher = Watcher(conversation, "")
    watcher.connection.connectionLost()
    assert not conversation.clock.getDelayedCalls()
    assert conversation.audit_events()[-1]["stage"] == "ResponseComplete"
