"""Every case of the corpus of upstream byte streams and faults: what the client sees, what is reused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from whole.client import Client, closing
from whole.daemon import A, ProxiedClusters, people
from whole.upstream import (
    CLOSED,
    OK,
    RecordingUpstream,
    Reply,
    Request,
    UpstreamConnection,
    answer,
    answer_with,
    never_answer,
)

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "data" / "upstream_responses.json").read_text())["cases"]
}

# Known and open for the next issue: id to reason. One that starts to pass fails here, so that it is struck out.
OPEN: dict[str, str] = {}

PODS = "/api/v1/namespaces/default/pods"
TOKEN = people().token("user1")
MEBIBYTE = 1024 * 1024


def request(method: str = "GET", target: str = PODS, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {A}", f"Authorization: Bearer {TOKEN}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def raw(case: str) -> bytes:
    """What the upstream says in a case."""
    if case == "R28":
        (start, _), (filler, _), (end, _) = CASES[case]["upstream_parts"]
        line = start.rpartition("\r\n")[2] + filler * 65536 + "\r\n"
        return (start.rpartition("\r\n")[0] + "\r\n" + line * 16 + end.removeprefix("\r\n")).encode()
    return CASES[case]["upstream_raw"].encode("latin-1")


def upstream_of(clusters: ProxiedClusters, reply: Reply = answer) -> RecordingUpstream:
    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = reply
    return upstream


def assert_not_reused(clusters: ProxiedClusters, upstream: RecordingUpstream) -> None:
    """No connection that had a part in the case serves another request; it is given up at once."""
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the upstream connection")
    used = upstream.used()
    upstream.begin()
    with closing(clusters.connect()) as client:
        assert client.request(request()).status == 200
    upstream.settle()
    assert not set(used) & set(upstream.used())


def marked(*ids: str) -> list[Any]:
    marks = {case: [pytest.mark.xfail(reason=OPEN[case], strict=True)] if case in OPEN else [] for case in ids}
    return [pytest.param(case, marks=marks[case], id=case) for case in ids]


PLAYED = {"R19", "R20", "R23", "R30", "R31", "R32", "R38", "R40"}
BROKEN = set(CASES) - PLAYED


@pytest.mark.parametrize("case", marked(*sorted(BROKEN)))
def test_an_answer_that_means_two_things_is_a_bad_gateway(case: str, clusters: ProxiedClusters) -> None:
    """What a strict parser cannot read in exactly one way is answered 502, and its connection is never used again."""
    assert CASES[case]["expect"]["client"].startswith("502")
    upstream = upstream_of(clusters, answer_with(raw(case)))
    with closing(clusters.connect()) as client:
        answered = client.request(request())
        assert answered.status == 502
        assert b'"kind": "Status"' in answered.body
        assert b"101 Switching" not in client.received
    assert_not_reused(clusters, upstream)


@pytest.mark.parametrize("case", marked("R19"))
def test_an_answer_that_nobody_asked_for_is_given_to_nobody(case: str, clusters: ProxiedClusters) -> None:
    """R19: whatever comes on an idle upstream connection ends it; the next request takes another one."""
    upstream = upstream_of(clusters)
    with closing(clusters.connect()) as client:
        assert client.request(request()).body == b"ok"
        upstream.settle()
        (connection,) = upstream.used()
        served = len(connection.requests)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        upstream.wait(lambda: bool(connection.ended), "the end of the poisoned connection")
        assert client.request(request()).body == b"ok"
    assert len(connection.requests) == served


ENDINGS: list[Callable[[UpstreamConnection], None]] = [
    UpstreamConnection.close,
    UpstreamConnection.cut,
    UpstreamConnection.reset,
]


AGAIN = "/api/v1/again"


def ends_at(target: str, end: Callable[[UpstreamConnection], None], times: int) -> Reply:
    """Ends the connection without a byte of an answer, so many times, when this is asked for."""
    left = iter(range(times))

    def reply(connection: UpstreamConnection, request: Request) -> None:
        if request.target == target and next(left, None) is not None:
            end(connection)
        else:
            answer(connection, request)

    return reply


def asked_again(clusters: ProxiedClusters, method: str, reply: Reply) -> tuple[int, int]:
    """The status of a second request on a connection, and how often the upstream was asked."""
    upstream = upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        assert client.request(request()).status == 200  # so that a connection is kept
        status = client.request(request(method, AGAIN)).status
    upstream.settle()
    return status, [r.target for r in upstream.requests()].count(AGAIN)


@pytest.mark.parametrize("case", marked("R20"))
@pytest.mark.parametrize("end", ENDINGS, ids=["close_notify", "FIN", "RST"])
def test_a_connection_that_ends_as_it_is_reused_is_replaced_once(
    case: str, end: Callable[[UpstreamConnection], None], clusters: ProxiedClusters
) -> None:
    """R20: a GET on a kept connection that ends without a byte is sent again, once, on a new one."""
    assert asked_again(clusters, "GET", ends_at(AGAIN, end, times=1)) == (200, 2)


def test_a_get_is_not_sent_a_third_time(clusters: ProxiedClusters) -> None:
    """A new connection that ends before any byte came says that the API server is broken: 502."""
    assert asked_again(clusters, "GET", ends_at(AGAIN, UpstreamConnection.close, times=9)) == (502, 2)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_may_have_been_done_is_not_done_twice(method: str, clusters: ProxiedClusters) -> None:
    """A request that changes something is never sent again: 502."""
    assert asked_again(clusters, method, ends_at(AGAIN, UpstreamConnection.close, times=1)) == (502, 1)


@pytest.mark.parametrize("case", marked("R23"))
def test_a_body_that_breaks_off_reaches_the_client_as_broken(case: str, clusters: ProxiedClusters) -> None:
    """R23: no last chunk is invented for a chunked body that the upstream did not end; the client sees a reset."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.read_body(request)
        connection.send(raw(case))
        heard.wait(20)
        connection.reset()

    heard = threading.Event()
    upstream = upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        client.send(request())
        client.hear(b"partial")
        heard.set()
        assert client.end() != CLOSED
        assert client.received.endswith(b"\r\n\r\n64\r\npartial")
    assert_not_reused(clusters, upstream)


@pytest.mark.parametrize("end", ENDINGS, ids=["close_notify", "FIN", "RST"])
def test_a_body_of_known_length_that_breaks_off_reaches_the_client_as_broken(
    end: Callable[[UpstreamConnection], None], clusters: ProxiedClusters
) -> None:
    """Fewer bytes than announced are no whole answer, however the upstream ended."""
    heard = threading.Event()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        heard.wait(20)
        end(connection)

    upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        client.send(request())
        client.hear(b"half")
        heard.set()
        assert client.end() != CLOSED
        assert client.received.endswith(b"\r\n\r\nhalf")


@pytest.mark.parametrize("end", ENDINGS[:2], ids=["close_notify", "FIN"])
def test_a_body_delimited_by_close_ends_as_the_upstream_ended(
    end: Callable[[UpstreamConnection], None], clusters: ProxiedClusters
) -> None:
    """A body that ends with the connection is whole only behind a close_notify; a bare FIN may be an attacker's."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        end(connection)

    upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        client.send(request())
        assert (client.end() == CLOSED) == (end is UpstreamConnection.close)
        assert client.received.endswith(b"\r\n\r\nuntil the end") or client.ended != CLOSED


@pytest.mark.parametrize("case", marked("R30"))
def test_an_answer_before_the_end_of_the_body_ends_both_connections(case: str, clusters: ProxiedClusters) -> None:
    """R30: an early final answer is relayed, then both connections end: the rest of the body is never a request."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(raw(case))
        connection.await_end()

    upstream = upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        client.send(request("POST", PODS, "Content-Length: 1000") + b"begin")
        assert client.answer().body == b"ok"
        client.send(request(target="/smuggled"))
        client.end()
    assert not any(b"/smuggled" in upstream.received(c) for c in upstream.used())
    assert_not_reused(clusters, upstream)


@pytest.mark.parametrize("case", marked("R31"))
def test_connection_close_of_the_upstream_is_about_the_upstream(case: str, clusters: ProxiedClusters) -> None:
    """R31: Connection: close is hop-by-hop: the client's connection stays, the upstream's is not used again."""
    upstream = upstream_of(clusters, answer_with(raw(case)))
    with closing(clusters.connect()) as client:
        answered = client.request(request())
        assert (answered.status, answered.body, answered.values("Connection")) == (200, b"ok", [])
        assert client.request(request()).status == 200
    assert_not_reused(clusters, upstream)


@pytest.mark.parametrize("case", marked("R32"))
def test_fields_about_the_upstream_connection_stay_there(case: str, clusters: ProxiedClusters) -> None:
    """R32: Connection, what it names, and Keep-Alive do not reach the client; the connection is kept."""
    upstream = upstream_of(clusters, answer_with(raw(case)))
    with closing(clusters.connect()) as client:
        answered = client.request(request())
        assert (answered.status, answered.body) == (200, b"ok")
        assert not [name for name in ("Connection", "X-Secret", "Keep-Alive") if answered.values(name)]
        assert client.request(request()).status == 200
    upstream.settle()
    assert len(upstream.used()) == 1


@pytest.mark.parametrize("case", marked("R38"))
def test_an_upstream_that_never_answers_is_a_gateway_timeout(case: str, clusters: ProxiedClusters) -> None:
    """R38: no head within responseTimeout: 504 and a reset upstream; a watch waits for as long as it takes."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        if "watch" in request.target:
            connection.read_body(request)
            gone.wait(20)
            time.sleep(1.2)  # two turns of the sweep that ends what is overdue
            connection.send(OK)
        else:
            never_answer(connection, request)

    gone = threading.Event()
    upstream = upstream_of(clusters, reply)
    with closing(clusters.connect()) as watcher, closing(clusters.connect()) as client:
        watcher.send(request(target=f"{PODS}?watch=true"))
        assert client.request(request()).status == 504
        upstream.wait(lambda: any(c.ended for c in upstream.used()), "the reset")
        gone.set()
        assert watcher.answer().status == 200


@pytest.mark.parametrize("case", marked("R40"))
@pytest.mark.parametrize("end", ENDINGS[:2], ids=["close_notify", "FIN"])
def test_a_tunnel_delivers_all_before_it_ends(
    case: str, end: Callable[[UpstreamConnection], None], clusters: ProxiedClusters
) -> None:
    """R40: an upstream that ends a tunnel with 1 MiB in flight: the client gets every byte, then the end."""
    payload = bytes(range(256)) * (MEBIBYTE // 256)

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(raw(case) + payload)
        end(connection)

    upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        client.send(spdy_exec())
        assert client.answer().status == 101
        time.sleep(0.2)  # it is all in flight, nobody reads
        client.end()
        assert client.received.endswith(b"\r\n\r\n" + payload)


def spdy_exec() -> bytes:
    return request("POST", f"{PODS}/x/exec?command=id", "Connection: Upgrade", "Upgrade: SPDY/3.1", "Content-Length: 0")


def test_what_both_sides_say_early_goes_through_the_tunnel(clusters: ProxiedClusters) -> None:
    """Bytes of the client behind its head wait for the 101 and go first; bytes behind the 101 reach the client."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        assert not connection.holds_more()
        connection.send(raw("R40") + b"greeting")
        connection.send(connection.read_some())

    upstream_of(clusters, reply)
    with closing(clusters.connect()) as client:
        client.send(spdy_exec() + b"early bird")
        assert client.answer().status == 101
        client.hear(b"greetingearly bird")


def test_a_tunnels_end_reaches_the_upstream(clusters: ProxiedClusters) -> None:
    """A client that leaves its tunnel: all it wrote is delivered, then the upstream connection ends."""
    payload = bytes(range(256)) * (MEBIBYTE // 256)

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.send(raw("R40"))
        connection.await_end()

    upstream = upstream_of(clusters, reply)
    client: Client = clusters.connect()
    client.send(spdy_exec())
    assert client.answer().status == 101
    client.send(payload)
    client.flush()
    client.close()
    upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the tunnel")
    assert upstream.received(upstream.used()[0]).endswith(b"\r\n\r\n" + payload)


def test_every_case_of_the_corpus_is_played() -> None:
    """A case that is added to the corpus has a test."""
    assert set(CASES) >= PLAYED
    assert len(CASES) == 16
