"""HTTP over in-memory connections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sandbox.apiserver.conversation import SHOP, Conversation, read_answer, request_bytes
from twisted.internet.testing import StringTransport

from kubeoidcproxy.sandbox.apiserver.objects import Objects

VERSION = request_bytes("GET", "/version")


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    return Conversation(tmp_path, SHOP)


def answers(transport: StringTransport) -> int:
    written: bytes = transport.value()
    return written.count(b"HTTP/1.1 200")


def test_a_connection_carries_many_requests(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    for _ in range(3):
        connection.dataReceived(VERSION)
    assert answers(transport) == 3
    assert not transport.disconnecting


def test_pipelined_requests_are_answered_one_after_the_other(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(VERSION * 20)
    assert answers(transport) == 20


def test_a_request_may_come_byte_by_byte(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    for byte in VERSION:
        connection.dataReceived(bytes([byte]))
    assert answers(transport) == 1


def test_connection_close(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("GET", "/version", ("Connection", "close")))
    assert answers(transport) == 1
    assert transport.disconnecting


@pytest.mark.parametrize(
    "junk", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_what_is_no_request_is_400_and_the_end(conversation: Conversation, junk: bytes) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(junk)
    assert transport.value().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert transport.disconnecting
    connection.dataReceived(VERSION)
    assert answers(transport) == 0


def test_a_body_has_a_limit(conversation: Conversation) -> None:
    answer = conversation.ask("POST", "/api/v1/namespaces/shop/configmaps", body=b"x" * 3_200_000)
    assert (answer.status, answer.message) == (413, "Request entity too large: limit is 3145728")


def test_expect_100_continue(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    whole = request_bytes("POST", "/api/v1/namespaces", ("Expect", "100-continue"), body={"metadata": {"name": "n"}})
    head, _, body = whole.partition(b"\r\n\r\n")
    connection.dataReceived(head + b"\r\n\r\n")
    assert transport.value().startswith(b"HTTP/1.1 100 ")
    transport.clear()
    connection.dataReceived(body)
    assert read_answer(transport.value()).status == 201


def test_head_has_no_body(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("HEAD", "/api/v1/namespaces/shop") + VERSION)
    first, _, second = transport.value().partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 405 ")
    assert second.startswith(b"HTTP/1.1 200 ")


def test_pipelined_bytes_stop_being_read_while_a_watch_is_open(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("GET", "/api/v1/namespaces/shop/pods?watch=1"))
    connection.dataReceived(b"x" * 100_000)
    assert transport.producerState == "paused"


def test_an_error_of_ours_is_500_and_not_the_end(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("secret details")

    monkeypatch.setattr(Objects, "get", fail)
    answer = conversation.ask("GET", "/api/v1/namespaces/shop")
    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert "secret" not in json.dumps(answer.json)
    assert conversation.ask("GET", "/version").status == 200


def test_the_server_can_cut_its_connections(conversation: Conversation) -> None:
    _, transport = conversation.connect()
    conversation.server.close()
    assert transport.disconnecting
