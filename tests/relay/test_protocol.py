"""The shell around the machine: deadlines, back-pressure, and what happens in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from kubeoidcproxy.config.limits import Limits
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.http1.request import RequestHead
from kubeoidcproxy.identity import Caller, UserInfo
from kubeoidcproxy.interfaces import Passage, UpstreamUser
from kubeoidcproxy.relay.protocol import ClientProtocol
from kubeoidcproxy.relay.switchboard import Switchboard
from kubeoidcproxy.tls.transport import ABORT_WITHIN

GET = b"GET /api/v1/pods HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WATCH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def loseConnection(self) -> None:
        assert self.producer is None, "a transport with a producer does not close"
        super().loseConnection()


class FakeUpstream:
    """An upstream connection in memory."""

    def __init__(self, *, reused: bool = False) -> None:
        self.reused = reused
        self.user: UpstreamUser | None = None
        self.written = b""
        self.state = "reading"

    def attach(self, user: UpstreamUser) -> None:
        self.user = user

    def write(self, data: bytes) -> None:
        self.written += data

    def hold(self) -> None:
        self.state = "held"

    def read(self) -> None:
        self.state = "reading"

    def release(self) -> None:
        self.state = "released"

    def abort(self) -> None:
        self.state = "aborted"

    def close(self) -> None:
        self.state = "closed"


class World:
    """A switchboard with one client, a gate that does as told, and upstream connections in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.log: list[tuple[str, Exchange]] = []
        self.upstreams: list[Any] = [FakeUpstream()]
        self.way: Callable[[], Any] = self.passage
        self.board = Switchboard(
            clock=self.clock, gate=self, observers=[self], limits=Limits(), wall=lambda: 1_700_000_000.0
        )
        self.board.startService()
        self.transport = Transport()
        self.client = self.board.build("a")
        self.client.makeConnection(self.transport)

    def passage(self) -> Passage:
        return Passage(self, b"UP\r\n\r\n", 90.0)

    def decide(self, head: RequestHead, server_name: str | None, exchange: Exchange) -> Any:
        exchange.caller = Caller(UserInfo("alice"), "iss", (), "alice", "", 0.0, b"f")
        exchange.cluster = "a"
        exchange.upstream_target = head.target.decode()
        return self.way()

    def acquire(self, *, fresh: bool) -> Any:
        return self.upstreams.pop(0)

    def answered(self, exchange: Exchange) -> None:
        self.log.append(("answered", exchange))

    def ended(self, exchange: Exchange) -> None:
        self.log.append(("ended", exchange))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.advance(1)


@pytest.fixture
def world() -> World:
    return World()


def test_a_known_caller_passes_in_plain_calls(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    assert upstream.written == b"UP\r\n\r\n"
    assert len(world.board.registry) == 1
    upstream.user.upstream_sent(OK)
    assert world.transport.value() == OK
    assert upstream.state == "released"
    assert [what for what, _ in world.log] == ["answered", "ended"]
    assert len(world.board.registry) == 0


def test_audit_ids_are_unique(world: World) -> None:
    world.upstreams = [FakeUpstream(), FakeUpstream()]
    for upstream in tuple(world.upstreams):
        world.client.dataReceived(GET)
        upstream.user.upstream_sent(OK)
    first, second = (exchange.audit_id for what, exchange in world.log if what == "ended")
    assert first != second
    assert first.rpartition("-")[0] == second.rpartition("-")[0]


def test_a_decision_may_take_its_time(world: World) -> None:
    decision: Deferred[Passage] = Deferred()
    world.way = lambda: decision
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    assert upstream.written == b""
    decision.callback(world.passage())
    assert upstream.written == b"UP\r\n\r\n"


@pytest.mark.parametrize("later", [False, True])
def test_a_refusal_is_told_and_the_connection_kept(world: World, later: bool) -> None:
    def refuse() -> Any:
        if not later:
            raise Rejection(403, "no")
        return failed(Rejection(403, "no"))

    world.way = refuse
    world.client.dataReceived(GET)
    assert world.transport.value().startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert not world.transport.disconnecting


def failed(error: Exception) -> Deferred[Any]:
    deferred: Deferred[Any] = Deferred()
    deferred.errback(Failure(error))
    return deferred


def test_a_bug_in_the_gate_is_500_without_a_trace(world: World) -> None:
    def bug() -> Any:
        raise RuntimeError("secret")

    world.way = bug
    world.client.dataReceived(GET)
    assert world.transport.value().startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in world.transport.value()


def test_a_failed_connection_is_told(world: World) -> None:
    world.upstreams = [failed(Rejection(504, "the API server did not accept a connection in time"))]
    world.client.dataReceived(GET)
    assert world.transport.value().startswith(b"HTTP/1.1 504 ")


def test_a_client_that_leaves_while_connecting_cancels_it(world: World) -> None:
    cancelled: list[object] = []
    world.upstreams = [Deferred(cancelled.append)]
    world.client.dataReceived(GET)
    world.client.connectionLost(Failure(ConnectionDone()))
    assert len(cancelled) == 1
    assert [what for what, _ in world.log] == ["ended"]
    assert not world.board.connections


def test_a_slow_client_holds_its_upstream(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    upstream.user.upstream_sent(WATCH)
    world.client.pauseProducing()
    assert upstream.state == "held"
    world.client.resumeProducing()
    assert upstream.state == "reading"


def test_a_slow_upstream_holds_its_client_until_it_is_gone(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    upstream.user.upstream_full()
    assert world.transport.producerState == "paused"
    upstream.user.upstream_drained()
    assert world.transport.producerState == "producing"
    upstream.user.upstream_full()
    upstream.user.upstream_left(clean=True)
    assert world.transport.producerState == "producing"


def test_a_client_that_is_full_when_its_upstream_comes_holds_it(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.pauseProducing()
    world.client.dataReceived(GET)
    assert upstream.state == "held"


def test_an_idle_client_is_closed_in_time(world: World) -> None:
    world.wait(119)
    assert not world.transport.disconnecting
    world.wait(2)
    assert world.transport.disconnecting
    assert world.transport.value() == b""


def test_a_slow_head_has_a_deadline_for_all_of_it(world: World) -> None:
    for byte in GET[:28]:
        world.client.dataReceived(bytes([byte]))
        world.wait(1)
    assert not world.transport.value()
    world.client.dataReceived(GET[28:29])
    world.wait(3)
    assert world.transport.value().startswith(b"HTTP/1.1 408 ")


def test_an_api_server_that_does_not_answer_is_504(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    world.wait(89)
    assert not world.transport.value()
    world.wait(2)
    assert world.transport.value().startswith(b"HTTP/1.1 504 ")
    assert upstream.state == "aborted"


def test_a_watch_may_take_its_time_to_answer(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET.replace(b"pods", b"pods?watch=true"))
    world.wait(200)
    upstream.user.upstream_sent(WATCH)
    assert world.transport.value() == WATCH


def test_a_body_that_stands_still_is_408_but_not_while_we_hold_it(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    upstream.user.upstream_full()
    world.wait(100)
    assert not world.transport.value()
    upstream.user.upstream_drained()
    world.client.dataReceived(b"x")
    world.wait(62)
    assert world.transport.value().startswith(b"HTTP/1.1 408 ")


def test_a_closing_client_is_reset_only_long_after_the_transport_should_have_closed(world: World) -> None:
    """A reset takes from a slow client what the kernel has not delivered yet; transports close by themselves."""
    world.client.dataReceived(b"BAD\n")
    assert world.transport.disconnecting
    world.wait(ABORT_WITHIN)
    assert not world.transport.aborted
    world.wait(ABORT_WITHIN + 2)
    assert world.transport.aborted


def test_the_time_to_idle_begins_with_the_end_of_each_request(world: World) -> None:
    """Also where a request was refused in the same breath, so that nothing else was ever awaited."""
    world.way = lambda: failed(Rejection(403, "no"))
    for _ in range(3):
        world.wait(100)
        world.client.dataReceived(GET)
    assert not world.transport.disconnecting
    world.wait(122)
    assert world.transport.disconnecting


def test_each_of_many_pipelined_requests_has_its_own_time_to_be_answered(world: World) -> None:
    upstreams = [FakeUpstream() for _ in range(2)]
    world.upstreams = list(upstreams)
    world.client.dataReceived(GET + GET)
    world.wait(80)
    upstreams[0].user.upstream_sent(OK)  # type: ignore[union-attr]
    world.wait(80)
    upstreams[1].user.upstream_sent(OK)  # type: ignore[union-attr]
    assert world.transport.value() == OK + OK


def test_the_body_of_a_stream_may_stand_still(world: World) -> None:
    """P16: what is sent to a proxied service is a stream."""
    (upstream,) = world.upstreams
    target = b"/api/v1/namespaces/d/services/x/proxy/upload"
    world.client.dataReceived(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
    world.wait(1000)
    assert not world.transport.value()
    world.client.dataReceived(b"ok")
    assert upstream.written.endswith(b"ok")


def test_a_tunnel_passes_bytes_and_ends_with_either_side(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(b"GET /exec HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    upstream.user.upstream_sent(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    world.transport.clear()
    world.client.dataReceived(b"in")
    upstream.user.upstream_sent(b"out")
    assert upstream.written.endswith(b"in")
    assert world.transport.value() == b"out"
    world.wait(300)
    assert not world.transport.disconnecting
    upstream.user.upstream_left(clean=True)
    assert world.transport.disconnecting
    (exchange,) = [exchange for what, exchange in world.log if what == "ended"]
    assert (exchange.bytes_in, exchange.upgraded) == (2, True)


def test_a_tunnels_client_that_leaves_lets_upstream_take_the_rest(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(b"GET /exec HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    upstream.user.upstream_sent(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    world.client.connectionLost(Failure(ConnectionDone()))
    assert upstream.state == "closed"


@pytest.mark.parametrize(
    "whom", [{"cluster": "a"}, {"issuer": "iss"}, {"username": "alice"}, {"fingerprint": b"f"}, {}]
)
def test_the_registry_cuts_whom_it_is_told(world: World, whom: dict[str, Any]) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    upstream.user.upstream_sent(WATCH)
    assert world.board.registry.cut("gone", **dict.fromkeys(whom, "other")) == (0 if whom else 1)
    assert world.board.registry.cut("gone", **whom) == (1 if whom else 0)
    assert upstream.state == "aborted"
    assert world.transport.aborted
    assert world.log[-1][1].detail == "gone"


def test_draining_waits_for_what_is_in_flight(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    drained: list[object] = []
    world.board.stopService().addCallback(drained.append)
    assert not drained
    upstream.user.upstream_sent(OK)
    assert b"Connection: close\r\n" in world.transport.value()
    assert world.transport.disconnecting
    world.client.connectionLost(Failure(ConnectionDone()))
    world.wait(1)
    assert drained == [None]


def test_who_has_just_come_when_draining_begins_is_served_once(world: World) -> None:
    """Its request may be underway already, and it would not be sent again. The answer says that there is no second."""
    (upstream,) = world.upstreams
    drained: list[object] = []
    world.board.stopService().addCallback(drained.append)
    assert not world.transport.disconnecting
    world.client.dataReceived(GET)
    upstream.user.upstream_sent(OK)
    assert b"Connection: close\r\n" in world.transport.value()
    assert world.transport.disconnecting


def test_who_says_nothing_when_draining_begins_is_not_waited_for(world: World) -> None:
    world.board.stopService()
    world.wait(1)
    assert world.transport.disconnecting


def test_a_connection_that_was_used_and_is_idle_is_closed_as_draining_begins(world: World) -> None:
    world.way = lambda: failed(Rejection(403, "no"))
    world.client.dataReceived(GET)
    world.board.stopService()
    assert world.transport.disconnecting


def test_draining_waits_a_moment_for_handshakes(world: World) -> None:
    """Whose handshake ends while we drain has a request, too; who never ends one is not waited for."""
    world.board = Switchboard(clock=world.clock, gate=world, observers=[], limits=Limits(), accepted=lambda: 1)
    world.board.startService()
    drained: list[object] = []
    world.board.stopService().addCallback(drained.append)
    assert not drained
    late = world.board.build("a")
    late.makeConnection(Transport())
    world.wait(1)
    assert late.transport.disconnecting  # type: ignore[union-attr]
    assert not drained
    late.connectionLost(Failure(ConnectionDone()))
    world.wait(1)
    assert drained == [None]


def test_draining_cuts_what_is_left_in_the_end(world: World) -> None:
    (upstream,) = world.upstreams
    world.client.dataReceived(GET)
    upstream.user.upstream_sent(WATCH)
    drained: list[object] = []
    world.board.stopService().addCallback(drained.append)
    world.wait(59)
    assert not drained
    world.wait(2)
    assert drained == [None]
    assert world.transport.aborted
    assert isinstance(world.client, ClientProtocol)
