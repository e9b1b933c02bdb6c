"""Logs: the tail, and what is written later."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox.apiserver.conversation import SHOP, Conversation, read_answer, request_bytes

from kubeoidcproxy.sandbox.apiserver.logs import tail_offset

LOG = "/api/v1/namespaces/shop/pods/web/log"
FIRST = b"container main of pod shop/web started\n"


@pytest.mark.parametrize(
    ("data", "lines", "tail"),
    [
        (b"a\nb\nc\n", 0, b""),
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\n", 9, b"a\nb\n"),
        (b"", 1, b""),
    ],
)
def test_tail(data: bytes, lines: int, tail: bytes) -> None:
    assert data[tail_offset(data, lines) :] == tail


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    conversation = Conversation(tmp_path, SHOP)
    with (tmp_path / "pods/shop/web/main.log").open("ab") as log:
        log.write(b"one\ntwo\n")
    return conversation


def read(conversation: Conversation, query: str, seconds: float = 1) -> bytes:
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("GET", f"{LOG}?{query}"))
    conversation.clock.pump([0.05] * int(seconds * 20))
    return read_answer(transport.value()).body


@pytest.mark.parametrize(
    ("query", "body"),
    [("", FIRST + b"one\ntwo\n"), ("tailLines=1", b"two\n"), ("limitBytes=4", FIRST[:4]), ("container=main", None)],
)
def test_logs(conversation: Conversation, query: str, body: bytes | None) -> None:
    assert read(conversation, query) == (FIRST + b"one\ntwo\n" if body is None else body)


def test_follow_until_the_pod_is_gone(conversation: Conversation, tmp_path: Path) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("GET", f"{LOG}?follow=true&tailLines=1"))
    with (tmp_path / "pods/shop/web/main.log").open("ab") as log:
        log.write(b"three\n")
    conversation.clock.advance(0.05)
    conversation.clock.advance(0.05)
    assert b"three" in transport.value()
    conversation.ask("DELETE", LOG.removesuffix("/log"))
    conversation.clock.advance(0.05)
    assert read_answer(transport.value()).body == b"two\nthree\n"


def test_a_paused_client_gets_nothing_more(conversation: Conversation, tmp_path: Path) -> None:
    (tmp_path / "pods/shop/web/main.log").write_bytes(b"x" * 300_000)
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("GET", LOG))
    assert transport.producer is not None
    transport.producer.pauseProducing()
    conversation.clock.pump([0.05] * 10)
    assert len(transport.value()) < 200_000
    transport.producer.resumeProducing()
    conversation.clock.pump([0.05] * 10)
    assert len(read_answer(transport.value()).body) == 300_000


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("container=zz", "container zz is not valid for pod web"),
        ("previous=true", 'previous terminated container "main" in pod "web" not found'),
    ],
)
def test_refused(conversation: Conversation, query: str, message: str) -> None:
    answer = conversation.ask("GET", f"{LOG}?{query}")
    assert (answer.status, answer.message) == (400, message)
