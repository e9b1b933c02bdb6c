"""Every case of the corpus of client byte streams, through the real TLS listener, with its expected verdict.

What a case demands of the upstream is read from the bytes recorded there, by two parsers that are not ours.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from whole.client import Answer, Client, closing
from whole.daemon import OWN_TOKEN, A, ProxiedClusters, people
from whole.tokens import base64url
from whole.upstream import RESET, Reply, Request, UpstreamConnection, answer, answer_with, read_by_h11, switch_and_echo

Case = dict[str, Any]

CORPUS = json.loads((Path(__file__).parents[1] / "data" / "http_requests.json").read_text())

# Known and open for the next issue: id to reason. One that starts to pass fails here, so that it is struck out.
OPEN: dict[str, str] = {}

SHORT_TIMES = {"M06"}  # waits for a limit that is short in the configuration of another daemon
SLOW = {"M07"}  # waits for the 60 s that a body may be idle, which no configuration shortens

# Pipelined requests of which the upstream gets fewer than are answered.
ANSWERS = {"G34": 2}

USERS = ("user1", "user2")
TOKENS = tuple(map(people().token, USERS))
SECRETS = (*TOKENS, *(base64url(token.encode()) for token in TOKENS))

FILLING = {
    "{HOST}": A,
    "{HOST_UPPER}": A.upper(),
    "{TOKEN}": TOKENS[0],
    "{TOKEN2}": TOKENS[1],
    "{TOKEN_B64URL}": base64url(TOKENS[0].encode()),
    "{USER}": USERS[0],
    "{USER2}": USERS[1],
}

PROBE = f"GET /version?probe HTTP/1.1\r\nHost: {A}\r\nAuthorization: Bearer {TOKENS[0]}\r\n\r\n".encode()


@dataclass(frozen=True)
class Outcome:
    """What came of a case on both sides."""

    answers: list[Answer]
    heard: bytes  # by the client
    closed: bool
    requests: list[Request]
    streams: list[bytes]  # what each upstream connection was sent
    endings: list[str]  # how each of them ended, "" if it did not


def cases(wanted: set[str] | None = None) -> list[Any]:
    chosen = []
    for case in CORPUS["cases"]:
        if (case["id"] not in SHORT_TIMES | SLOW) if wanted is None else (case["id"] in wanted):
            reason = OPEN.get(case["id"])
            marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
            chosen.append(pytest.param(case, id=f"{case['policy']}-{case['id']}", marks=marks))
    return chosen


@pytest.mark.parametrize("case", cases())
def test_a_byte_stream_gets_the_verdict_that_policy_demands(case: Case, clusters: ProxiedClusters) -> None:
    """Each case of the corpus has its expected verdict, and no case breaks an invariant."""
    assert_verdict(case, outcome(case, clusters))


ABORTED = [case for case in cases() if case.values[0]["expect"]["verdict"] == "abort"]


@pytest.mark.parametrize("case", ABORTED)
def test_a_faulty_body_resets_an_upstream_that_has_its_head(case: Case, clusters: ProxiedClusters) -> None:
    """The verdict is the same where the head went upstream long before the fault in the body came."""
    upstream = clusters.upstreams["a"]
    head, rest = opening(case).split(b"\r\n\r\n", 1)

    def in_two(case: Case, client: Client) -> None:
        client.send(head + b"\r\n\r\n")
        upstream.wait(lambda: bool(upstream.requests()), "the head")
        client.send(rest)
        if case.get("half_close"):
            client.end_input()

    seen = outcome(case, clusters, in_two)
    assert_verdict(case, seen)
    assert seen.endings == [RESET]


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedClusters]:
    running = ProxiedClusters(tmp_path_factory.mktemp("hasty"), limits={"headTimeout": "2s"})
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.mark.parametrize("case", cases(SHORT_TIMES))
def test_a_head_that_trickles_is_cut_by_one_deadline_for_all_of_it(case: Case, hasty: ProxiedClusters) -> None:
    """headTimeout runs from the first byte of a head to its end, however steadily its bytes come."""
    assert_verdict(case, outcome(case, hasty))


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(SLOW))
def test_a_body_that_stalls_is_given_up_after_a_minute(case: Case, clusters: ProxiedClusters) -> None:
    """A client that stops in the middle of its body for 60 s is answered 408, and the upstream sees no end of it."""
    assert_verdict(case, outcome(case, clusters))


def test_no_token_is_in_the_output_and_nothing_crashed(clusters: ProxiedClusters) -> None:
    """The client's bearer token is in no log, and no case made the daemon report an error of its own."""
    output = clusters.daemon.output
    assert clusters.daemon.process.poll() is None
    for secret in (*SECRETS, OWN_TOKEN):
        assert secret not in output
        assert secret.rpartition(".")[2] not in output  # nor its signature alone
    assert "Traceback" not in output
    assert "Unhandled" not in output


def test_no_descriptor_is_leaked(clusters: ProxiedClusters) -> None:
    """A thousand connections that misbehave in many ways later, no descriptor is open that was not before."""
    with closing(clusters.connect()) as client:
        assert client.request(PROBE).status == 200
    before = clusters.daemon.open_files()
    for _ in range(20):
        for case in CORPUS["cases"]:
            if case["id"] in ("B43", "E01", "F02", "G01", "C08"):
                client = clusters.connect()
                client.send(filled(case["raw"]))
                client.answer()
                client.close()
        with closing(clusters.connect()) as client:
            assert client.request(PROBE).status == 200
    deadline = time.monotonic() + 20
    while clusters.daemon.open_files() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert clusters.daemon.open_files() <= before


# How a case is run.


def outcome(case: Case, clusters: ProxiedClusters, send: Callable[[Case, Client], None] | None = None) -> Outcome:
    """Play the client's part and the upstream's, and look at both ends of the proxy."""
    upstream, expect = clusters.upstreams["a"], case["expect"]
    for each in clusters.upstreams.values():
        each.begin()
    upstream.reply = reply(case.get("upstream", {}))
    with closing(clusters.connect(case.get("tls", {}).get("sni", A))) as client:
        (send or send_case)(case, client)
        head_only = opening(case).startswith(b"HEAD")
        closed = expect["client_connection_closed"]
        if closed:
            client.patience = 90 if case["id"] in SLOW else 3 if case["id"] in OPEN else client.patience
            answers = client.answers_until_end(head_only=head_only)
        else:
            count = ANSWERS.get(case["id"]) or max(1, expect.get("upstream_requests", 1))
            answers = [client.answer(head_only=head_only and not n) for n in range(count)]
        heard = bytes(client.received)
        if expect["verdict"] == "abort":
            upstream.wait(lambda: all(c.ended for c in upstream.used()), "the end of the upstream connection")
        for each in clusters.upstreams.values():
            each.settle()
        used = [(each, c) for each in clusters.upstreams.values() for c in each.used()]
        requests = [request for each in clusters.upstreams.values() for request in each.requests()]
        streams = [each.received(c) for each, c in used]
        endings = [c.ended for _, c in used]
        if not closed:
            upstream.reply = answer if answers[-1].status != 101 else upstream.reply
            assert_open(client, answers[-1])
        return Outcome(answers, heard, bool(client.ended), requests, streams, endings)


def assert_open(client: Client, last: Answer) -> None:
    """The connection is still there, and nothing is on it that nobody asked for."""
    if last.status == 101:
        client.send(b"through the tunnel and back")
        client.hear(b"through the tunnel and back")
    else:
        assert client.request(PROBE).status == 200


def filled(text: str) -> bytes:
    for name, value in FILLING.items():
        text = text.replace(name, value)
    return text.encode("latin-1")


def opening(case: Case) -> bytes:
    """The bytes of a case, or the first of them."""
    if "raw" in case:
        return filled(case["raw"])
    if "parts" in case:
        return b"".join(filled(text) * repeat for text, repeat in case["parts"])
    return filled(case["frags"][0])


def send_case(case: Case, client: Client) -> None:
    data, how = opening(case), case.get("send", {})
    if case.get("lenfix"):
        size = len(data.partition(b"\r\n\r\n")[2])
        data = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % size, data)
    if how.get("mode") == "byte_at_a_time":
        for at in range(len(data)):
            client.send(data[at : at + 1])
    elif "byte_interval_s" in how:
        trickle(client, data, 0.1)
    else:
        client.send(data)
    if "body_byte_interval_s" in how:
        client.send(b"x")
    for piece in case.get("frags", [])[1:]:
        time.sleep(0.05)  # so the corpus has it: separate writes, 50 ms apart
        client.send(filled(piece))
    if case.get("half_close"):
        client.end_input()


def trickle(client: Client, data: bytes, interval: float) -> None:
    """A byte each interval, until the other side has had enough."""
    for at in range(len(data)):
        if client.heard_within(interval):
            return
        client.send(data[at : at + 1])


def reply(upstream: dict[str, Any]) -> Reply:
    """What the upstream answers in this case."""
    kind = upstream.get("reply")
    if kind == "ws101":
        return switch_and_echo("websocket")
    if kind == "echo-path":
        delays = upstream["delay_by_path"]

        def echo_path(connection: UpstreamConnection, request: Request) -> None:
            time.sleep(delays.get(request.target, 0))
            body = request.target[1:].encode()
            answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))(connection, request)

        return echo_path
    raw = {"403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"}.get(str(kind))
    plain = answer if raw is None else answer_with(raw)

    def delayed(connection: UpstreamConnection, request: Request) -> None:
        time.sleep(upstream.get("delay", 0))
        plain(connection, request)

    return delayed


# How it is judged.


def assert_verdict(case: Case, seen: Outcome) -> None:
    acceptable = [case["expect"], *alternatives(case)]
    faults = [list(faults_of(expect, seen)) for expect in acceptable]
    assert not min(faults, key=len), (case["title"], faults, [a.raw[:300] for a in seen.answers], seen.streams)
    assert not list(breaches(seen)), (case["title"], seen.streams)


def alternatives(case: Case) -> Iterator[Case]:
    """Other outcomes that the corpus accepts, as far as this proxy may come to them."""
    alt = case.get("alt") or case["expect"].get("alt") or ""
    kept = {key: value for key, value in case["expect"].items() if key.startswith(("up_must", "client_must"))}
    if alt.startswith("forward"):
        yield kept | {"verdict": "forward", "status": [200], "upstream_requests": 1, "client_connection_closed": False}
    elif alt.isdigit():
        yield kept | {"verdict": "reject", "status": [int(alt)], "client_connection_closed": True}


def faults_of(expect: Case, seen: Outcome) -> Iterator[str]:
    """What is not as it was expected to be."""
    statuses = [a.status for a in seen.answers]
    if not statuses and expect["verdict"] != "abort":
        yield "no answer"
    if not set(statuses) <= set(expect["status"]):
        yield f"status {statuses}, expected {expect['status']}"
    if seen.closed != expect["client_connection_closed"]:
        yield "client connection " + ("closed" if seen.closed else "open")
    complete = [request for request in seen.requests if request.complete]
    if expect["verdict"] in ("reject", "local") and (seen.requests or any(seen.streams)):
        yield f"{len(seen.requests)} requests upstream"
    if expect["verdict"] == "forward" and not len(complete) == len(seen.requests) == expect["upstream_requests"]:
        yield f"{len(complete)} complete of {len(seen.requests)} requests upstream"
    if expect["verdict"] == "abort":
        if complete or len(seen.requests) > 1:
            yield f"{len(complete)} complete of {len(seen.requests)} requests upstream"
        if any(ending != RESET for ending in seen.endings):
            yield f"upstream connections ended {seen.endings}"
    yield from misses(expect, "up", b"\0".join(seen.streams))
    yield from misses(expect, "client", seen.heard)


def misses(expect: Case, side: str, data: bytes) -> Iterator[str]:
    at = 0
    for text in expect.get(f"{side}_must", ()):
        found = data.find(filled(text), at)
        if found < 0:
            yield f"{side}: no {text!r}"
        at = found if side == "client" else 0
    for text in expect.get(f"{side}_must_not", ()):
        if filled(text) in data:
            yield f"{side}: {text!r}"


def breaches(seen: Outcome) -> Iterator[str]:
    """What must hold whatever the case."""
    complete = 0
    for stream in seen.streams:
        count, trouble = read_by_h11(stream)
        complete += count
        if trouble:
            yield f"h11 cannot read the upstream's bytes: {trouble}"
    if complete != sum(request.complete for request in seen.requests):
        yield f"h11 reads {complete} requests"
    for request in seen.requests:
        if any(secret.encode() in request.head for secret in SECRETS):
            yield "the client's token went upstream"
        if request.values("Authorization") != [f"Bearer {OWN_TOKEN}"]:
            yield "not exactly our Authorization"
        if len(request.values("Impersonate-User")) != 1 or request.values("Impersonate-User")[0] not in USERS:
            yield "not exactly one Impersonate-User of ours"
        impersonation = {line for line in request.lines if line.lower().startswith(b"impersonate")}
        if impersonation - {b"Impersonate-User: " + user.encode() for user in USERS} != {
            b"Impersonate-Group: system:authenticated"
        }:
            yield f"impersonation headers {impersonation}"
