"""What our own code makes of a byte stream: the real machine, the real gate, the real rewrite; no sockets.

The judge plays the client, the shell and an upstream that answers what it was asked. It keeps the bytes that would have
gone upstream, by connection, and beside them what we believe they say. Whether that is so is for others to tell
(:mod:`fuzz.oracles`).
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from fuzz.well_formed import HOST, OTHER_HOST, TOKENS
from twisted.internet.defer import Deferred

from kubeoidcproxy.clusters.cluster import Cluster
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.gate import Reach, RequestGate
from kubeoidcproxy.http1.framing import Chunked, Length
from kubeoidcproxy.http1.request import RequestHead
from kubeoidcproxy.identity import Caller, UserInfo
from kubeoidcproxy.interfaces import Passage
from kubeoidcproxy.relay import actions as act
from kubeoidcproxy.relay.connection import Actions, ClientConnection, State
from kubeoidcproxy.routing import Route, Routing

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")

MAX_HEAD = 64 * 1024
SOURCE = "198.51.100.7"
UPSTREAM_HOST = b"10.0.0.1:6443"
CREDENTIAL = "Bearer own-credential"

USERS = {
    TOKENS[0].encode(): UserInfo("alice", ("dev", "ops"), "uid-1", (("example.org/team", ("a", "b")),)),
    TOKENS[1].encode(): UserInfo("bob"),
}
#: What the API server must be told of each, written down here and not derived; by name, in lower case.
IMPERSONATED = {
    "alice": (
        ("impersonate-extra-example.org%2fteam", "a"),
        ("impersonate-extra-example.org%2fteam", "b"),
        ("impersonate-group", "dev"),
        ("impersonate-group", "ops"),
        ("impersonate-group", "system:authenticated"),
        ("impersonate-uid", "uid-1"),
        ("impersonate-user", "alice"),
    ),
    "bob": (("impersonate-group", "system:authenticated"), ("impersonate-user", "bob")),
}


@dataclass
class Believed:
    """One request that went upstream, as we read it."""

    audit_id: str
    method: str
    target: str
    framing: str  # "none", "length" or "chunked"
    user: str
    raw_body: bytearray = field(default_factory=bytearray)
    whole: bool = False  # its last byte went upstream

    @property
    def body(self) -> bytes:
        return unchunked(bytes(self.raw_body)) if self.framing == "chunked" else bytes(self.raw_body)

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """All fields that only we may say."""
        fixed = (("audit-id", self.audit_id), ("authorization", CREDENTIAL), ("x-forwarded-for", SOURCE))
        return tuple(sorted(fixed + IMPERSONATED[self.user], key=lambda item: item[0]))


@dataclass
class Upstream:
    """One upstream connection: what it was sent as HTTP, and what we believe that says."""

    sent: bytearray = field(default_factory=bytearray)
    requests: list[Believed] = field(default_factory=list)
    tunnelled: bytearray = field(default_factory=bytearray)  # behind a 101; no HTTP any more


@dataclass
class Verdict:
    """What came of one client stream."""

    upstreams: list[Upstream]
    to_client: bytes
    exchanges: list[Exchange]
    ended: list[Exchange]


class Own:
    def authorization(self) -> bytes:
        return CREDENTIAL.encode()


class KnownTokens:
    """Two tokens are known, each by who holds it; everybody is admitted."""

    def __init__(self) -> None:
        self._callers = {token: Caller(user, "https://issuer", ("kubernetes",), user.username, "", 2e9, b"f")
                         for token, user in USERS.items()}  # fmt: skip

    def recall(self, token: bytes) -> Caller | None:
        return self._callers.get(token)

    async def authenticate(self, token: bytes) -> Caller:
        raise Rejection(401, "Unauthorized: unknown token")

    def admit(self, exchange: Exchange) -> None:
        return None


def gate() -> RequestGate:
    """Cluster a by its name, by its prefix and by default; b by its name only."""
    pool: Any = None
    clusters = {n: Cluster(n, UPSTREAM_HOST, b"", None, None, 90.0, Own(), pool) for n in "ab"}
    routing = Routing([Route("a", (HOST,)), Route("b", (OTHER_HOST,), path_prefix=False)], default="a")
    known = KnownTokens()
    return RequestGate(reach=Reach(routing, clusters), authenticator=known, admission=known)


class Judge:
    """Plays one stream after the other; how it plays is drawn from the seed it is given with each."""

    def __init__(self) -> None:
        self._gate = gate()

    def judge(self, stream: bytes, seed: str) -> Verdict:
        return _Play(self._gate, Random(seed)).play(stream)


class _Play:
    """One client connection from its first byte to its end."""

    def __init__(self, gate: RequestGate, rng: Random) -> None:
        self._gate = gate
        self._rng = rng
        self._server_name = None if rng.random() < 0.1 else HOST
        self._swift = rng.random() < 0.6  # nothing is ever late
        self._stream = b""
        self._decided = 0  # where in it the last head that was decided about ends
        self._early = rng.random() < 0.05  # an answer comes before the end of its request (P13)
        self._machine = ClientConnection(self._new_exchange, MAX_HEAD)
        self._verdict = Verdict([], b"", [], [])
        self._to_client = bytearray()
        self._idle: list[Upstream] = []
        self._upstream: Upstream | None = None
        self._believed: Believed | None = None
        self._head: RequestHead | None = None
        self._finished_head = b""
        self._unsent_head = b""
        self._waiting: deque[act.Action] = deque()
        self._held = False
        self._tunnel = False

    def play(self, stream: bytes) -> Verdict:
        self._stream = stream
        for piece in pieces(self._rng, stream):
            if self._held:
                self._catch_up(late=False)
            if self._machine.state is State.CLOSED:
                break
            self._perform(self._machine.client_sent(piece))
            self._catch_up(late=not self._swift and self._rng.random() < 0.5)
        self._catch_up(late=False)
        self._perform(self._machine.client_left())
        self._verdict.to_client = bytes(self._to_client)
        return self._verdict

    def _catch_up(self, *, late: bool) -> None:
        """Gate and upstream do what they were asked for: now, or only when more has come from the client."""
        while not late:
            if self._waiting:
                self._do(self._waiting.popleft())
            elif self._machine.state is State.RELAYING and (self._machine.answer_awaited or self._early):
                self._answer()
            else:
                break

    def _do(self, action: act.Action) -> None:
        if isinstance(action, act.Decide):
            self._decide(action)
        elif self._machine.state is State.CONNECTING:
            self._open(fresh=isinstance(action, act.OpenUpstream) and action.fresh)

    def _decide(self, action: act.Decide) -> None:
        self._find(action.head)
        try:
            way = self._gate.decide(action.head, self._server_name, action.exchange)
        except Rejection as rejection:
            self._perform(self._machine.refused(rejection))
            return
        if isinstance(way, Deferred):
            way.addErrback(lambda failure: self._perform(self._machine.refused(failure.value)))
            return
        assert isinstance(way, Passage)
        self._head, self._finished_head = action.head, way.head
        self._perform(self._machine.admitted(way.head))

    def _find(self, head: RequestHead) -> None:
        """What is decided about is what the client said, byte for byte and in order."""
        lines = [head.method + b" " + head.target + b" HTTP/1.1", *(line for _, _, line in head.fields), b"", b""]
        said = b"\r\n".join(lines)
        at = self._stream.find(said, self._decided)
        assert at >= 0, f"the client did not say {said!r}"
        self._decided = at + len(said)

    def _open(self, *, fresh: bool) -> None:
        reused = bool(self._idle) and not fresh
        if reused:
            self._upstream = self._idle.pop()
        else:
            self._upstream = Upstream()
            self._verdict.upstreams.append(self._upstream)
        exchange, head = self._machine.exchange, self._head
        assert exchange is not None
        assert exchange.caller is not None
        assert head is not None
        framing = {Chunked: "chunked", Length: "length"}.get(type(head.framing), "none")
        user = exchange.caller.user.username
        believed = Believed(exchange.audit_id, exchange.method, exchange.upstream_target, framing, user)
        self._believed = believed
        self._unsent_head = self._finished_head
        self._upstream.requests.append(believed)
        self._perform(self._machine.upstream_opened(reused=reused))

    def _answer(self) -> None:
        """The upstream has the request, and answers; or it was gone."""
        assert self._head is not None
        self._early = False
        chance = self._rng.random()
        if chance < 0.05:
            self._gone()
        elif self._head.hops.upgrade and chance < 0.5:
            switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nhello"
            self._perform(self._machine.upstream_sent(switch % self._head.hops.upgrade))
        else:
            if chance < 0.2:
                self._perform(self._machine.upstream_sent(b"HTTP/1.1 100 Continue\r\n\r\n"))
            self._perform(self._machine.upstream_sent(answer_to(self._head.method, self._rng)))

    def _gone(self) -> None:
        """The upstream connection ended without an answer."""
        self._upstream = None
        self._perform(self._machine.upstream_left(clean=True))

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case act.Decide() | act.OpenUpstream():
                    self._waiting.append(action)
                case act.SendUpstream(data):
                    self._send_upstream(data)
                case act.SendClient(data):
                    self._to_client += data
                case act.StartTunnel():
                    self._tunnel = True
                case act.ReleaseUpstream():
                    assert self._upstream is not None
                    assert self._believed is not None
                    assert self._believed.whole, (
                        "P13: a connection in the middle of a request is given to somebody else"
                    )
                    self._idle.append(self._upstream)
                    self._upstream = None
                case act.AbortUpstream() | act.CloseUpstream():
                    self._upstream = None
                case act.HoldClient():
                    self._held = True
                case act.ReadClient():
                    self._held = False
                case act.Ended(exchange):
                    self._verdict.ended.append(exchange)
        machine = self._machine
        if machine.state is State.RELAYING and self._believed is not None and not machine.body_awaited:
            self._believed.whole = True

    def _send_upstream(self, data: bytes) -> None:
        upstream, believed = self._upstream, self._believed
        assert upstream is not None
        assert believed is not None
        if self._tunnel:
            upstream.tunnelled += data
            return
        upstream.sent += data
        believed.raw_body += data.removeprefix(self._unsent_head)
        self._unsent_head = b""

    def _new_exchange(self) -> Exchange:
        self._verdict.exchanges.append(Exchange(f"f-{len(self._verdict.exchanges)}", SOURCE, 0.0, 0.0))
        return self._verdict.exchanges[-1]


def answer_to(method: bytes, rng: Random) -> bytes:
    """A final answer that is well-formed for a request with this method."""
    status, fields, body = rng.choice(
        [
            (b"200 OK", b"Content-Length: 2\r\n", b"ok"),
            (b"200 OK", b"Content-Length: 2\r\n", b"ok"),
            (b"200 OK", b"Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
            (b"201 Created", b"Content-Length: 0\r\n", b""),
            (b"204 No Content", b"", b""),
            (b"200 OK", b"Content-Length: 2\r\nConnection: close\r\n", b"ok"),
        ]
    )
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n" + (b"" if method == b"HEAD" else body)


def pieces(rng: Random, stream: bytes) -> list[bytes]:
    """The stream as it may arrive: at once, in some pieces, byte by byte."""
    how = rng.random()
    if how < 0.35 or len(stream) < 2:
        return [stream]
    if how < 0.4 and len(stream) < 3000:
        return [stream[at : at + 1] for at in range(len(stream))]
    count = min(len(stream) - 1, rng.choice((1, 1, 2, 3, 8)))
    edges = [0, *sorted(rng.sample(range(1, len(stream)), count)), len(stream)]
    return [stream[start:stop] for start, stop in itertools.pairwise(edges)]


def unchunked(raw: bytes) -> bytes:
    """The data of a whole chunked body that is framed as policy P19 has it; something else for one that is not."""
    data = b""
    while match := _CHUNK.match(raw):
        size, raw = int(match[1], 16), raw[match.end() :]
        if not size:
            break
        data, raw = data + raw[:size], raw[size + 2 :]
    return data if raw == b"\r\n" else b"not chunked: " + raw
