"""The machine of a client connection, as scripts: what is heard, what is to be done."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import ALLOW, DENY, Exchange
from kubeoidcproxy.relay import actions as act
from kubeoidcproxy.relay.connection import MAX_HELD, NEXT, Actions, ClientConnection, State

GET = b"GET /api/v1/pods HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /api/v1/pods HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"POST /api/v1/pods HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXEC = b"GET /api/v1/x/exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
UP = b"HEAD OF OURS\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WATCH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Script:
    """A machine with its record of exchanges."""

    def __init__(self, max_head: int = 65536) -> None:
        self.exchanges: list[Exchange] = []
        self.machine = ClientConnection(self.new_exchange, max_head)
        self.seen: Actions = []

    def new_exchange(self) -> Exchange:
        self.exchanges.append(Exchange(f"id-{len(self.exchanges)}", "10.0.0.1", 0.0, 0.0))
        return self.exchanges[-1]

    def hear(self, actions: Actions) -> Actions:
        self.seen += actions
        return actions

    def client(self, data: bytes) -> Actions:
        return self.hear(self.machine.client_sent(data))

    def relaying(self, request: bytes, *, reused: bool = False) -> Actions:
        """A request up to its way upstream."""
        self.client(request)
        assert self.hear(self.machine.admitted(UP)) == [act.OpenUpstream()]
        return self.hear(self.machine.upstream_opened(reused=reused))

    def upstream(self, data: bytes) -> Actions:
        return self.hear(self.machine.upstream_sent(data))

    @property
    def to_upstream(self) -> bytes:
        return b"".join(a.data for a in self.seen if isinstance(a, act.SendUpstream))

    @property
    def to_client(self) -> bytes:
        return b"".join(a.data for a in self.seen if isinstance(a, act.SendClient))

    @property
    def ended(self) -> list[Exchange]:
        return [a.exchange for a in self.seen if isinstance(a, act.Ended)]


def test_a_request_is_decided_connected_relayed_and_recorded() -> None:
    s = Script()
    (decide,) = s.client(GET)
    exchange = s.exchanges[0]
    assert isinstance(decide, act.Decide)
    assert decide.exchange is exchange
    assert (exchange.method, exchange.target) == ("GET", "/api/v1/pods")
    assert s.hear(s.machine.admitted(UP)) == [act.OpenUpstream()]
    assert s.hear(s.machine.upstream_opened(reused=False)) == [act.SendUpstream(UP)]
    assert s.machine.answer_awaited
    assert s.upstream(OK) == [
        act.SendClient(OK),
        act.Answered(exchange),
        act.ReleaseUpstream(),
        act.Ended(exchange),
    ]
    assert s.machine.state is State.AWAITING_HEAD
    assert (exchange.status, exchange.decision, exchange.bytes_out) == (200, ALLOW, len(OK))


def test_nothing_of_a_refused_request_goes_upstream() -> None:
    s = Script()
    s.client(GET)
    send, answered, ended = s.hear(s.machine.refused(Rejection(401, "Unauthorized")))
    assert isinstance(send, act.SendClient)
    assert send.data.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"WWW-Authenticate: Bearer\r\n" in send.data
    assert b"Connection: close" not in send.data
    assert b"id-0" in send.data
    assert (answered, ended) == (act.Answered(s.exchanges[0]), act.Ended(s.exchanges[0]))
    assert s.exchanges[0].decision == DENY
    assert s.machine.state is State.AWAITING_HEAD


def test_a_refusal_with_an_unread_body_closes() -> None:
    """P13: the body could be taken for the next request."""
    s = Script()
    s.client(POST + b"ab")
    actions = s.hear(s.machine.refused(Rejection(401, "Unauthorized")))
    assert b"Connection: close\r\n" in s.to_client
    assert actions[-1] == act.CloseClient()


def test_a_malformed_head_is_answered_recorded_and_closed() -> None:
    s = Script()
    actions = s.client(b"GET /x HTTP/1.1\nHost: a\n\n")
    assert s.to_client.startswith(b"HTTP/1.1 400 ")
    assert actions[-2:] == [act.Ended(s.exchanges[0]), act.CloseClient()]
    assert (s.exchanges[0].method, s.exchanges[0].decision, s.exchanges[0].status) == ("GET", DENY, 400)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (b"TRACE / HTTP/1.1\r\n\r\n", 405),
        (b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"a" * 17000, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: 1\r\n" * 257 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nExpect: y 100-continue\r\n\r\n", 417),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_each_kind_of_bad_head_has_its_code(head: bytes, status: int) -> None:
    s = Script()
    s.client(head)
    assert s.to_client.startswith(b"HTTP/1.1 %d " % status)
    assert s.machine.state is State.CLOSED


def test_one_empty_line_before_a_request_is_dropped() -> None:
    s = Script()
    s.client(b"\r")
    s.client(b"\n" + GET)
    assert s.machine.state is State.DECIDING


def test_a_body_goes_on_raw_and_the_next_request_waits_its_turn() -> None:
    s = Script()
    assert s.relaying(POST + b"ab") == [act.SendUpstream(UP + b"ab")]
    assert s.client(b"cd" + GET) == [act.SendUpstream(b"cd")]
    assert s.machine.answer_awaited
    actions = s.upstream(OK)
    assert isinstance(actions[-1], act.Decide)
    assert actions[-2] == act.Ended(s.exchanges[0])
    assert s.exchanges[0].bytes_in == 4


def test_a_client_that_runs_ahead_is_held() -> None:
    """P17: up to 64 KiB are read so that its leaving is noticed."""
    s = Script()
    s.relaying(GET)
    assert s.client(b"x" * (MAX_HELD - 1)) == []
    assert s.client(b"x") == [act.HoldClient()]


def test_a_broken_chunk_resets_upstream() -> None:
    """P19: the API server must never see a complete request."""
    s = Script()
    s.relaying(CHUNKED + b"3\r\nabc\r\n")
    actions = s.client(b"0x0\r\n\r\n")
    assert actions[0] == act.AbortUpstream()
    assert s.to_client.startswith(b"HTTP/1.1 400 ")
    assert actions[-1] == act.CloseClient()
    assert b"0x0" not in s.to_upstream


def test_events_of_a_watch_go_on_at_once() -> None:
    s = Script()
    s.relaying(GET)
    s.upstream(WATCH)
    event = b"5\r\nevent\r\n"
    assert s.upstream(event) == [act.SendClient(event)]
    assert s.upstream(b"0\r\n\r\n")[-2:] == [act.ReleaseUpstream(), act.Ended(s.exchanges[0])]


def test_a_truncated_answer_is_not_made_whole() -> None:
    s = Script()
    s.relaying(GET)
    s.upstream(WATCH + b"64\r\npartial")
    assert s.hear(s.machine.upstream_left(clean=False)) == [
        act.AbortUpstream(),
        act.Ended(s.exchanges[0]),
        act.AbortClient(),
    ]


def test_an_answer_before_the_end_of_the_body_ends_both_connections() -> None:
    """P13."""
    s = Script()
    s.relaying(POST + b"a")
    actions = s.upstream(OK)
    assert b"Connection: close\r\n" in s.to_client
    assert actions[-3:] == [act.AbortUpstream(), act.Ended(s.exchanges[0]), act.CloseClient()]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 17,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000,
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_is_502(answer: bytes) -> None:
    s = Script()
    s.relaying(GET)
    actions = s.upstream(answer)
    assert b"HTTP/1.1 502 " in s.to_client
    assert act.AbortUpstream() in actions
    assert s.exchanges[0].status == 502


def test_interim_answers_are_relayed() -> None:
    s = Script()
    s.relaying(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert s.upstream(b"HTTP/1.1 100 Continue\r\n\r\n") == [act.SendClient(b"HTTP/1.1 100 Continue\r\n\r\n")]
    assert s.client(b"{}") == [act.SendUpstream(b"{}")]
    assert s.upstream(OK)[0] == act.SendClient(OK)


@pytest.mark.parametrize(
    ("method", "status", "head"),
    [(b"HEAD", 200, b"Content-Length: 10\r\n"), (b"GET", 204, b""), (b"GET", 304, b"Content-Length: 10\r\n")],
)
def test_an_answer_without_a_body_ends_with_its_head(method: bytes, status: int, head: bytes) -> None:
    s = Script()
    s.relaying(GET.replace(b"GET", method))
    answer = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, head)
    assert s.upstream(answer)[-2:] == [act.ReleaseUpstream(), act.Ended(s.exchanges[0])]


def test_a_body_delimited_by_close_ends_the_client_connection() -> None:
    s = Script()
    s.relaying(GET)
    s.upstream(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert s.to_client == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert s.hear(s.machine.upstream_left(clean=True))[-1] == act.CloseClient()


def test_hop_by_hop_fields_of_an_answer_end_here() -> None:
    s = Script()
    s.relaying(GET)
    s.upstream(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\r\nok"
    )
    assert s.to_client == OK
    assert act.AbortUpstream() in s.seen
    assert s.machine.state is State.AWAITING_HEAD


def test_a_dead_reused_connection_is_tried_once_more_for_a_get() -> None:
    s = Script()
    s.relaying(GET, reused=True)
    assert s.hear(s.machine.upstream_left(clean=True)) == [act.OpenUpstream(fresh=True)]
    assert s.hear(s.machine.upstream_opened(reused=False)) == [act.SendUpstream(UP)]
    s.hear(s.machine.upstream_left(clean=True))
    assert s.to_client.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(("request_", "reused"), [(POST + b"abcd", True), (GET, False)])
def test_nothing_else_is_tried_twice(request_: bytes, reused: bool) -> None:
    s = Script()
    s.relaying(request_, reused=reused)
    s.hear(s.machine.upstream_left(clean=True))
    assert s.to_client.startswith(b"HTTP/1.1 502 ")


def test_a_switch_starts_a_tunnel_and_loses_no_early_byte() -> None:
    s = Script()
    s.relaying(EXEC)
    assert s.client(b"early") == []
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n"
    assert s.upstream(head + b"first") == [
        act.SendClient(head + b"first"),
        act.Answered(s.exchanges[0]),
        act.StartTunnel(),
        act.SendUpstream(b"early"),
    ]
    assert s.client(b"x") == [act.SendUpstream(b"x")]
    assert s.upstream(b"y") == [act.SendClient(b"y")]
    assert s.hear(s.machine.upstream_left(clean=True)) == [act.Ended(s.exchanges[0]), act.CloseClient()]


def test_an_upgrade_that_is_answered_otherwise_ends_both_connections() -> None:
    """P11: what the client sent early must not be taken for a request."""
    s = Script()
    s.relaying(EXEC + b"GET /smuggled HTTP/1.1\r\n\r\n")
    actions = s.upstream(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    assert b"Connection: close\r\n" in s.to_client
    assert actions[-3:] == [act.AbortUpstream(), act.Ended(s.exchanges[0]), act.CloseClient()]
    assert len(s.exchanges) == 1
    assert b"smuggled" not in s.to_upstream


@pytest.mark.parametrize("stage", ["deciding", "connecting", "relaying", "answering"])
def test_a_client_that_leaves_cancels_its_request(stage: str) -> None:
    s = Script()
    s.client(GET)
    if stage != "deciding":
        s.hear(s.machine.admitted(UP))
    if stage in ("relaying", "answering"):
        s.hear(s.machine.upstream_opened(reused=False))
    if stage == "answering":
        s.upstream(WATCH)
    actions = s.hear(s.machine.client_left())
    assert (act.AbortUpstream() in actions) == (stage != "deciding")
    assert s.ended == [s.exchanges[0]]
    assert s.machine.admitted(UP) == s.machine.upstream_sent(OK) == s.machine.upstream_left(clean=True) == []


@pytest.mark.parametrize("stage", ["deciding", "connecting", "relaying"])
def test_a_cut_ends_everything_now(stage: str) -> None:
    s = Script()
    s.client(GET)
    if stage != "deciding":
        s.hear(s.machine.admitted(UP))
    if stage == "relaying":
        s.hear(s.machine.upstream_opened(reused=False))
    assert s.hear(s.machine.cut("cluster removed"))[-1] == act.AbortClient()
    assert [e.detail for e in s.ended] == ["cluster removed"]


def test_deadlines_end_in_the_code_that_fits() -> None:
    idle = Script()
    assert idle.hear(idle.machine.timed_out()) == [act.CloseClient()]
    slow = Script()
    slow.client(b"GET / HT")
    slow.hear(slow.machine.timed_out())
    assert slow.to_client.startswith(b"HTTP/1.1 408 ")
    body = Script()
    body.relaying(POST)
    body.hear(body.machine.timed_out())
    assert body.to_client.startswith(b"HTTP/1.1 408 ")
    answer = Script()
    answer.relaying(GET)
    answer.hear(answer.machine.timed_out())
    assert answer.to_client.startswith(b"HTTP/1.1 504 ")


def test_draining_ends_an_idle_connection_now_and_a_busy_one_after_its_answer() -> None:
    idle = Script()
    assert idle.hear(idle.machine.drain()) == [act.CloseClient()]
    busy = Script()
    busy.relaying(GET)
    assert busy.hear(busy.machine.drain()) == []
    assert busy.upstream(OK)[-1] == act.CloseClient()
    assert b"Connection: close\r\n" in busy.to_client


def test_the_table_has_every_state_and_no_way_out_of_closed() -> None:
    assert set(NEXT) == set(State)
    assert not NEXT[State.CLOSED]


requests = st.lists(
    st.sampled_from(
        [GET, POST + b"abcd", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", b"\r\n" + GET, b"BAD\n", EXEC, b"GET / HTTP/1.1\r\n"]
    ),
    max_size=5,
).map(b"".join)


def outcome(stream: bytes, cuts: list[int]) -> tuple[object, ...]:
    """All that a stream leads to, with every request admitted and answered as soon as it is upstream."""
    s = Script()
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    for start, stop in itertools.pairwise(edges):
        todo = list(s.client(stream[start:stop]))
        while todo:
            action = todo.pop(0)
            if isinstance(action, act.Decide):
                todo += s.hear(s.machine.admitted(UP))
            elif isinstance(action, act.OpenUpstream):
                todo += s.hear(s.machine.upstream_opened(reused=False))
        while s.machine.answer_awaited and s.machine.state is State.RELAYING:
            todo += s.upstream(OK)
            while todo:
                action = todo.pop(0)
                if isinstance(action, act.Decide):
                    todo += s.hear(s.machine.admitted(UP))
                elif isinstance(action, act.OpenUpstream):
                    todo += s.hear(s.machine.upstream_opened(reused=False))
    return s.to_upstream, s.to_client, s.machine.state, len(s.exchanges), len(s.ended)


@given(requests, st.lists(st.integers(0, 400), max_size=12))
def test_any_cutting_of_the_same_bytes_leads_to_the_same(stream: bytes, cuts: list[int]) -> None:
    assert outcome(stream, cuts) == outcome(stream, [])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_no_bytes_make_the_machine_fail(stream: bytes, cuts: list[int]) -> None:
    upstream, client, _, exchanges, ended = outcome(stream, cuts)
    assert isinstance(client, bytes)
    assert isinstance(exchanges, int)
    assert isinstance(ended, int)
    assert exchanges - ended in (0, 1)
    assert upstream == b"" or upstream.startswith(UP)  # type: ignore[attr-defined]
