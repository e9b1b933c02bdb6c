"""The machine of one client connection: what was heard goes in, what is to be done comes out. No I/O, no clock.

One request is in flight at a time; what the client sends meanwhile waits, up to a bound (P17). The machine knows HTTP
and nothing of clusters, tokens or users: those are decided by whoever performs :class:`~.actions.Decide`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import ALLOW, DENY, Exchange
from kubeoidcproxy.http1.body import Endless, Nothing, Scanner, request_scanner
from kubeoidcproxy.http1.framing import NO_BODY
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import END_OF_HEAD, FieldBlock, RequestHead, judge_partial, parse_request
from kubeoidcproxy.relay import actions as act
from kubeoidcproxy.relay.answer import Answer, Switched
from kubeoidcproxy.relay.responses import refusal


class State(IntEnum):
    """Where the connection stands."""

    AWAITING_HEAD = 0  # between requests, or in the middle of a head
    DECIDING = 1  # a head is complete; who is it, may they?
    CONNECTING = 2  # they may; waiting for an upstream connection
    RELAYING = 3  # the head went upstream; bodies flow
    TUNNELLING = 4  # a 101 went to the client; no more HTTP
    CLOSED = 5  # nothing matters any more


_S = State

#: From where to where, and on what. A step that is not here is a bug, and raises.
NEXT: dict[State, dict[State, str]] = {
    _S.AWAITING_HEAD: {_S.DECIDING: "head complete", _S.CLOSED: "malformed, idle, left or cut"},
    _S.DECIDING: {
        _S.CONNECTING: "admitted",
        _S.AWAITING_HEAD: "refused, connection kept",
        _S.CLOSED: "refused and closed, left or cut",
    },
    _S.CONNECTING: {
        _S.RELAYING: "upstream opened",
        _S.AWAITING_HEAD: "upstream failed, connection kept",
        _S.CLOSED: "upstream failed and closed, left or cut",
    },
    _S.RELAYING: {
        _S.AWAITING_HEAD: "both messages ended",
        _S.CONNECTING: "reused upstream connection was dead: once more",
        _S.TUNNELLING: "101",
        _S.CLOSED: "ended with close, broken, left or cut",
    },
    _S.TUNNELLING: {_S.CLOSED: "either side ended"},
    _S.CLOSED: {},
}

Actions: TypeAlias = list[act.Action]

MAX_HELD = 64 * 1024  # P17: what a client may send ahead of its turn
_RETRIABLE = frozenset({b"GET", b"HEAD", b"OPTIONS"})  # policy "retry"
_NOTHING: Scanner = Nothing()


class ClientConnection:
    """The machine.

    :param new_exchange: makes the record of a request, when its head is complete or refused.
    :param max_head: bytes of a request head.
    """

    def __init__(self, new_exchange: Callable[[], Exchange], max_head: int) -> None:
        self.state = State.AWAITING_HEAD
        self.exchange: Exchange | None = None
        self._new_exchange = new_exchange
        self._max_head = max_head
        self._held = b""  # bytes of the client that were not looked at, or not passed on yet
        self._judged = 0  # bytes of _held that may be the beginning of a head
        self._blank = False  # the one empty line before a request line was seen
        self._holding = False
        self._draining = False
        self._head: RequestHead | None = None
        self._block: FieldBlock | None = None  # of the head before: the next one says the same, as a rule
        self._body: Scanner = _NOTHING
        self._answer: Answer | None = None
        self._upstream_head = b""
        self._retriable = False

    # What the shell may ask, to set its deadlines.

    @property
    def head_begun(self) -> bool:
        """Part of a head is there, the rest is awaited."""
        return bool(self._held)

    @property
    def body_awaited(self) -> bool:
        """The upstream has the head and waits for the rest of the request."""
        return not self._body.done

    @property
    def answer_awaited(self) -> bool:
        """The whole request is upstream and the head of its final answer has not come."""
        return self._body.done and (self._answer is None or not self._answer.begun)

    # Inputs.

    def client_sent(self, data: bytes) -> Actions:
        """Bytes came from the client."""
        state = self.state
        out: Actions = []
        if state is State.AWAITING_HEAD:
            self._held += data
            self._read_head(out)
        elif state is State.RELAYING and not self._body.done:
            self._pass_body(data, out)
        elif state is State.TUNNELLING:
            self._count_in(len(data))
            out.append(act.SendUpstream(data))
        elif state is not State.CLOSED:
            self._hold(data, out)
        return out

    def admitted(self, upstream_head: bytes) -> Actions:
        """The request may go on, with this head."""
        out: Actions = []
        if self.state is State.DECIDING and self._head is not None and self.exchange is not None:
            self.exchange.decision = ALLOW
            self._upstream_head = upstream_head
            self._retriable = self._head.method in _RETRIABLE and self._head.framing is NO_BODY
            self._go(State.CONNECTING)
            out.append(act.OpenUpstream())
        return out

    def refused(self, rejection: Rejection) -> Actions:
        """The request may not go on; answered here."""
        out: Actions = []
        if self.state is State.DECIDING and self.exchange is not None:
            self.exchange.decision = DENY
            self._refuse(rejection, out)
        return out

    def upstream_opened(self, *, reused: bool) -> Actions:
        """There is an upstream connection."""
        out: Actions = []
        if self.state is State.CONNECTING and self._head is not None:
            self._go(State.RELAYING)
            self._retriable = self._retriable and reused
            self._answer = Answer(self._head.method, self._head.hops.upgrade)
            held, self._held = self._held, b""
            self._pass_body(held, out, self._upstream_head)
        return out

    def upstream_failed(self, rejection: Rejection) -> Actions:
        """There is no upstream connection to be had."""
        out: Actions = []
        if self.state is State.CONNECTING:
            self._refuse(rejection, out)
        return out

    def upstream_sent(self, data: bytes) -> Actions:
        """Bytes came from upstream."""
        out: Actions = []
        if self.state is State.RELAYING and self._answer is not None:
            self._retriable = False
            try:
                self._relay_answer(self._answer, data, out)
            except Malformed as error:
                self._break(Rejection(502, "bad gateway", detail=f"upstream: {error.text}", close=True), out)
        elif self.state is State.TUNNELLING:
            self._send_client(data, out)
        return out

    def upstream_left(self, *, clean: bool) -> Actions:
        """The upstream connection ended, with a close_notify (clean) or without."""
        out: Actions = []
        if self.state is State.TUNNELLING:
            self._end(out)
            self._close(out)
        elif self.state is State.RELAYING and self._answer is not None:
            if self._retriable:
                self._go(State.CONNECTING)
                self._retriable = False
                out.append(act.OpenUpstream(fresh=True))
            elif clean and self._answer.begun and isinstance(self._answer.body, Endless):
                self._finish(out, reusable=False)
            else:
                self._break(Rejection(502, "bad gateway", detail="upstream closed before the end of its answer"), out)
        return out

    def client_left(self) -> Actions:
        """The client is gone, or has ended its side: the same (P17)."""
        out: Actions = []
        if self.state is State.TUNNELLING:
            out.append(act.CloseUpstream())
        elif self.state in (State.CONNECTING, State.RELAYING):
            out.append(act.AbortUpstream())
        if self.state is not State.CLOSED:
            if self.exchange is not None and not self.exchange.detail and self.state is not State.TUNNELLING:
                self.exchange.detail = "client left"
            self._end(out)
            self._go(State.CLOSED)
        return out

    def timed_out(self) -> Actions:
        """Whatever was awaited did not come in time."""
        out: Actions = []
        if self.state is State.AWAITING_HEAD:
            if self._held:
                self._refuse_head(Malformed("request head too slow", 408), out)
            else:
                self._close(out)
        elif self.state is State.RELAYING and self.body_awaited:
            self._break(Rejection(408, "request body too slow"), out)
        elif self.state is State.RELAYING:
            self._break(Rejection(504, "the API server did not answer in time"), out)
        return out

    def cut(self, detail: str) -> Actions:
        """The exchange must end now: its cluster, issuer, user or token is no longer welcome."""
        out: Actions = []
        if self.state is not State.CLOSED:
            if self.exchange is not None:
                self.exchange.detail = detail
            if self.state in (State.CONNECTING, State.RELAYING, State.TUNNELLING):
                out.append(act.AbortUpstream())
            self._end(out)
            self._go(State.CLOSED)
            out.append(act.AbortClient())
        return out

    def drain(self) -> Actions:
        """Serve no further request: close now if none is in flight, else after it."""
        out: Actions = []
        self._draining = True
        if self.state is State.AWAITING_HEAD and not self._held:
            self._close(out)
        return out

    # Between requests.

    def _read_head(self, out: Actions) -> None:
        """Look for one head in what is held."""
        try:
            head = self._take_head()
        except Malformed as error:
            self._refuse_head(error, out)
            return
        if head is not None:
            self._head = head
            self.exchange = _begin(self._new_exchange(), head)
            self._body = request_scanner(head.framing)
            self._go(State.DECIDING)
            out.append(act.Decide(self.exchange, head))
            self._hold(b"", out)

    def _take_head(self) -> RequestHead | None:
        if not self._blank and self._held.startswith(b"\r\n"):  # RFC 9112 section 2.2: one empty line, not passed on
            self._blank, self._held = True, self._held[2:]
        if not self._held or (self._held == b"\r" and not self._blank):
            return None
        end = self._held.find(END_OF_HEAD, max(0, self._judged - 3))
        if end + len(END_OF_HEAD) > self._max_head or (end < 0 and len(self._held) > self._max_head):
            raise Malformed("request head too large", 431)
        if end < 0:
            judge_partial(self._held, self._judged)
            self._judged = len(self._held)
            return None
        raw, self._held = self._held[: end + 4], self._held[end + 4 :]
        self._judged, self._blank = 0, False
        try:
            head = parse_request(raw, self._block)
        except Malformed:
            self._held = raw
            raise
        self._block = head.block
        return head

    def _refuse_head(self, error: Malformed, out: Actions) -> None:
        """A head that is none: there is no telling where the next request would begin."""
        self.exchange = _glean(self._new_exchange(), self._held)
        self.exchange.decision = DENY
        self._refuse(Rejection(error.status, error.text, close=True), out)

    def _hold(self, data: bytes, out: Actions) -> None:
        """Keep bytes for later; the client is read on only while they are few."""
        self._held += data
        full = len(self._held) >= MAX_HELD
        if full != self._holding:
            self._holding = full
            out.append(act.HoldClient() if full else act.ReadClient())

    # During a request.

    def _pass_body(self, data: bytes, out: Actions, head: bytes = b"") -> None:
        """Body bytes go on, behind the head if that was not sent yet; what is behind the body is held."""
        try:
            taken = self._body.scan(data) if data else 0
        except Malformed as error:
            self._break(Rejection(400, error.text), out)
            return
        if head or taken:
            self._count_in(taken)
            out.append(act.SendUpstream(head + data[:taken]))
        self._held = b""
        self._hold(data[taken:], out)

    def _relay_answer(self, answer: Answer, data: bytes, out: Actions) -> None:
        if answer.begun:
            self._send_client(answer.continued(data), out)
        else:
            found = answer.received(data)
            if isinstance(found, Switched):
                self._switch(found, out)
                return
            if found.interim:
                self._send_client(found.interim, out)
            if found.head is None or self.exchange is None:
                return
            self.exchange.status = found.head.status
            self._send_client(found.relayed(self._farewell(answer)), out)
            out.append(act.Answered(self.exchange))
        if answer.body.done:
            self._finish(out, reusable=answer.reusable and self._body.done)

    def _farewell(self, answer: Answer) -> bytes:
        """What the head of the answer says of the client's connection."""
        head = self._head
        if (
            head is None
            or head.hops.close
            or self._draining
            or head.hops.upgrade  # P11: asked for an upgrade and did not get it
            or not self._body.done  # P13: the rest of the body cannot be told from the next request
            or isinstance(answer.body, Endless)
        ):
            self._draining = True
            return b"Connection: close\r\n"
        return b""

    def _switch(self, switched: Switched, out: Actions) -> None:
        """101: HTTP is over on this connection. What both sides said early goes first."""
        if self.exchange is None:
            return
        self.exchange.status = 101
        self.exchange.upgraded = True
        self._go(State.TUNNELLING)
        self._send_client(switched.head + switched.rest, out)
        out += (act.Answered(self.exchange), act.StartTunnel())
        if self._held:
            self._count_in(len(self._held))
            out.append(act.SendUpstream(self._held))
        self._held = b""
        self._hold(b"", out)

    def _finish(self, out: Actions, *, reusable: bool) -> None:
        """The last byte of the answer is out."""
        out.append(act.ReleaseUpstream() if reusable else act.AbortUpstream())
        self._end(out)
        if self._draining:
            self._close(out)
        else:
            self._next(out)

    def _refuse(self, rejection: Rejection, out: Actions) -> None:
        """Answer from here; nothing is upstream."""
        exchange, head = self.exchange, self._head
        if exchange is None:
            return
        close = rejection.close or self._draining or not self._body.done or head is None or head.hops.close
        exchange.status, exchange.detail = rejection.status, rejection.detail
        head_only = exchange.method == "HEAD"
        self._send_client(refusal(rejection, exchange.audit_id, close=close, head_only=head_only), out)
        out.append(act.Answered(exchange))
        self._end(out)
        if close:
            self._close(out)
        else:
            self._next(out)

    def _break(self, rejection: Rejection, out: Actions) -> None:
        """The exchange failed with the upstream connection in use: that one is reset, the client told if it can be."""
        out.append(act.AbortUpstream())
        if self._answer is None or not self._answer.begun:
            self._refuse(rejection, out)
            return
        if self.exchange is not None:
            self.exchange.detail = rejection.detail
        self._end(out)
        self._go(State.CLOSED)
        out.append(act.AbortClient())

    # Ends.

    def _end(self, out: Actions) -> None:
        """The terminal record, once (law 11)."""
        if self.exchange is not None:
            out.append(act.Ended(self.exchange))
        self.exchange, self._head, self._answer = None, None, None
        self._body, self._upstream_head = _NOTHING, b""

    def _next(self, out: Actions) -> None:
        """The connection is kept: what waited is looked at now."""
        self._go(State.AWAITING_HEAD)
        if self._held:
            self._read_head(out)
        if self.state is State.AWAITING_HEAD and self._holding:
            self._holding = False
            out.append(act.ReadClient())

    def _close(self, out: Actions) -> None:
        self._held = b""
        self._go(State.CLOSED)
        out.append(act.CloseClient())

    def _go(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise AssertionError(f"no way from {self.state.name} to {state.name}")
        self.state = state

    def _send_client(self, data: bytes, out: Actions) -> None:
        if data and self.exchange is not None:
            self.exchange.bytes_out += len(data)
            out.append(act.SendClient(data))

    def _count_in(self, size: int) -> None:
        if self.exchange is not None:
            self.exchange.bytes_in += size


def _begin(exchange: Exchange, head: RequestHead) -> Exchange:
    """The record of a request whose head was read."""
    exchange.method = head.method.decode("ascii")
    exchange.target = head.target.decode("ascii")
    exchange.forwarded_for = tuple(value.decode("latin-1") for value in head.values(b"x-forwarded-for"))
    agent = head.values(b"user-agent")
    exchange.user_agent = agent[0].decode("latin-1") if agent else ""
    return exchange


def _glean(exchange: Exchange, raw: bytes) -> Exchange:
    """The record of a request whose head was refused: what can be read of its first line."""
    words = raw[:4096].partition(b"\r\n")[0].decode("latin-1").split(" ")
    exchange.method = words[0][:32]
    exchange.target = words[1] if len(words) > 1 else ""
    return exchange
