"""Byte streams of upstreams, well-formed and spoilt, and what a client gets of them from our own machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from fuzz import mutations
from fuzz.claims import AnswersClaim
from fuzz.judge import SOURCE, pieces
from fuzz.well_formed import BODIES, NESTED, chunked

from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.relay import actions as act
from kubeoidcproxy.relay.connection import Actions, ClientConnection, State

CASES = json.loads((Path(__file__).parents[1] / "data" / "upstream_responses.json").read_text())["cases"]

HEAD = b"Host: a\r\n\r\n"
REQUESTS = {
    "GET": b"GET /x HTTP/1.1\r\n" + HEAD,
    "HEAD": b"HEAD /x HTTP/1.1\r\n" + HEAD,
    "POST": b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n" + HEAD + b"{}",
    "POST, half of it": b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n" + HEAD + b"{",
    "GET, to upgrade": b"GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + HEAD,
}
SECOND = b"HTTP/1.1 203 Second\r\nContent-Length: 6\r\n\r\nsecond"

FIELDS = [
    b"Content-Type: application/json", b"Date: Mon, 07 Dec 2026 09:00:00 GMT", b"Audit-Id: 1", b"X-Empty:",
    b"Connection: close", b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Connection: X-Secret",
    b"X-Secret: 1", b"Trailer: X-Sum", b"Connection: Content-Length", b"Connection: Transfer-Encoding",
    b"Cache-Control: no-cache, private", b"X-Latin: \xe9", b"Upgrade: websocket", b"Proxy-Authenticate: Basic",
    b"TE: trailers", b"Vary: Accept",
]  # fmt: skip
INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nConnection: x\r\nX: 1\r\n\r\n",
]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
STATUS_LINES = [
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 500 \xe9",
    b"HTTP/1.1 999 x", b"HTTP/1.1 301 Moved", b"HTTP/1.1 401 Unauthorized", b"HTTP/1.1 205 Reset Content",
    b"HTTP/1.1 206 Partial",
]  # fmt: skip
SPOILT_STATUS_LINES = [
    b"HTTP/1.0 200 OK", b"HTTP/2 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 x", b"HTTP/1.1 000 x", b"HTTP/1.1 -20 x", b"HTTP/1.1 2x0 OK",
    b"http/1.1 200 OK", b"HTTP/1.1200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\0K",
    b"HTTP/1.1 204 No", b"HTTP/1.1 304 Not", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 S", b"HTTP/1.1 199 x",
    b"ICY 200 OK", b"HTTP/01.1 200 OK", b"", b"HTTP/1.1 +20 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200OK",
]  # fmt: skip


def corpus() -> dict[str, bytes]:
    """What upstreams say in the corpus, by the ids of the cases."""
    return {case["id"]: case["upstream_raw"].encode("latin-1") for case in CASES if case.get("upstream_raw")}


def well_formed(rng: Random, asked: str) -> bytes:
    """An answer to what was asked, perhaps with interim ones before it."""
    interim = b"".join(rng.choices(INTERIM, k=rng.choice((0, 0, 0, 1, 2))))
    if "upgrade" in asked and rng.random() < 0.6:
        return interim + SWITCH + rng.choice((b"", b"tunnel", NESTED))
    lines = rng.sample(FIELDS, rng.choice((0, 1, 2, 4)))
    status = rng.choice(STATUS_LINES)
    body = rng.choice([*BODIES, SECOND])
    payload = b""
    kind = rng.random()
    if kind < 0.4:
        lines.append(b"Content-Length: %d" % len(body))
        payload = body
    elif kind < 0.75:
        lines.append(b"Transfer-Encoding: chunked")
        payload = chunked(rng, body)
        if rng.random() < 0.2:
            payload = payload[:-2] + b"X-Sum: 1\r\nGrpc-Status: 0\r\n\r\n"
    elif kind < 0.9:
        payload = body
    else:
        status = rng.choice((b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified"))
        lines += rng.choice(([], [b"Content-Length: 0"], [b"Content-Length: 7"], [b"Transfer-Encoding: chunked"]))
    rng.shuffle(lines)
    return interim + b"\r\n".join([status, *lines, b"", b"" if asked == "HEAD" else payload])


def streams(seed: str, count: int) -> Iterator[tuple[bytes, str]]:
    """So many streams, each with what it answers; the same ones for the same seed."""
    rng = Random(seed)
    known = list(corpus().values())
    operators = {**mutations.OPERATORS, respell_the_status_line: 8, append_an_answer: 4}
    operators.pop(mutations.respell_the_request_line)
    for number in range(count):
        asked = rng.choice(list(REQUESTS))
        stream = rng.choice(known) if rng.random() < 0.05 else well_formed(rng, asked)
        yield mutations.mutated(rng, stream, operators), f"{asked}/{seed}/{number}"


def respell_the_status_line(rng: Random, stream: bytes) -> bytes:
    at = stream.find(b"HTTP/1.1", rng.choice((0, 1)))
    _, end, rest = stream[at:].partition(b"\r\n")
    return stream[: max(at, 0)] + rng.choice(SPOILT_STATUS_LINES) + end + rest


def append_an_answer(rng: Random, stream: bytes) -> bytes:
    return stream + rng.choice((SECOND, b"\r\n" + SECOND, INTERIM[0], SECOND[:-3], b"0\r\n\r\n" + SECOND))


def play(stream: bytes, seed: str) -> AnswersClaim:
    """One client connection: a request that these bytes answer, and another one if it is served."""
    return _Play(seed.partition("/")[0], Random(seed)).play(stream)


class _Play:
    def __init__(self, asked: str, rng: Random) -> None:
        self._asked = asked
        self._rng = rng
        self._clean = rng.random() < 0.5
        self._machine = ClientConnection(self._new_exchange, 64 * 1024)
        self._exchanges: list[Exchange] = []
        self._whole: list[int] = []
        self._said = bytearray()
        self._ending = "kept"

    def play(self, stream: bytes) -> AnswersClaim:
        self._perform(self._machine.client_sent(REQUESTS[self._asked]))
        heard = b""
        for piece in pieces(self._rng, stream):
            if self._machine.state not in (State.RELAYING, State.TUNNELLING):
                break
            heard += piece
            self._perform(self._machine.upstream_sent(piece))
        if self._machine.state in (State.RELAYING, State.TUNNELLING):
            self._perform(self._machine.upstream_left(clean=self._clean))
        ours = self._exchanges[0].status == 502 and bool(self._exchanges[0].detail)
        relayed = heard if self._whole and not ours else None
        if self._machine.state is State.AWAITING_HEAD:
            self._perform(self._machine.client_sent(REQUESTS["GET"]))
            self._perform(self._machine.upstream_sent(SECOND))
        return self._claim(relayed)

    def _claim(self, relayed: bytes | None) -> AnswersClaim:
        said = bytes(self._said)
        tunnelled = 0
        if self._exchanges[0].status == 101:
            assert "upgrade" in self._asked, "P11: a tunnel that nobody asked for"
            begins = said.find(b"\r\n\r\n", said.find(b"HTTP/1.1 101")) + 4
            tunnelled = len(said) - begins
        methods = tuple(exchange.method for exchange in self._exchanges)
        return AnswersClaim(methods, tuple(self._whole), said, self._ending, relayed, tunnelled)

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case act.Decide():
                    self._perform(self._machine.admitted(b"HEAD OF OURS\r\n\r\n"))
                case act.OpenUpstream():
                    self._perform(self._machine.upstream_opened(reused=False))
                case act.SendClient(data):
                    self._said += data
                case act.Ended(exchange):
                    self._whole.append(exchange.status)
                case act.CloseClient():
                    self._ending = "closed"
                case act.AbortClient():
                    self._ending = "reset"
                    self._whole.pop()  # what was ended last was not ended by its own end

    def _new_exchange(self) -> Exchange:
        self._exchanges.append(Exchange(f"f-{len(self._exchanges)}", SOURCE, 0.0, 0.0))
        return self._exchanges[-1]
