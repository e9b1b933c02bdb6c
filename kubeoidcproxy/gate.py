"""From a request head to its way upstream: the middle of DESIGN's "way of a request", in its order.

Syntax and framing were judged before (:mod:`.http1`); what is left of syntax is judged here first, so that a malformed
request is refused as such and not as unauthenticated. A caller whose token was verified a moment ago passes in plain
calls; only an unknown token waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted.internet.defer import Deferred

from kubeoidcproxy.auth.bearer import find_bearer
from kubeoidcproxy.clusters.cluster import Cluster
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import RequestHead
from kubeoidcproxy.http1.target import judge_path, judge_target
from kubeoidcproxy.identity import Caller
from kubeoidcproxy.impersonation.headers import outgoing
from kubeoidcproxy.impersonation.inbound import refuse_inbound
from kubeoidcproxy.interfaces import Admission, Authenticator, Passage
from kubeoidcproxy.relay.rewrite import Additions, upstream_head
from kubeoidcproxy.routing import Routing, host_name


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Which clusters there are and how they are reached. Immutable; a reload swaps it.

    :param ways: where targets lead that were judged already; a client asks for the same ones again and again.
    """

    routing: Routing
    clusters: Mapping[str, Cluster]
    ways: dict[tuple[str | None, bytes], _Way] = field(default_factory=dict, repr=False)


MAX_WAYS = 1024  # targets that are remembered, of MAX_REMEMBERED bytes at the most
MAX_REMEMBERED = 512


class _Way(NamedTuple):
    """Where a target leads.

    :param name: of the cluster that it names; None where it names none.
    :param cluster: None where that is not served, too.
    :param target: for the API server.
    """

    name: str | None
    cluster: Cluster | None
    target: bytes


class _Asked(NamedTuple):
    """What a head asks for, as far as can be said without knowing who asks.

    :param misdirected: its Host names another cluster.
    """

    head: RequestHead
    cluster: Cluster | None
    target: bytes
    misdirected: bool


class RequestGate:
    """Decides about requests (:class:`~kubeoidcproxy.interfaces.Gate`)."""

    def __init__(self, *, reach: Reach, authenticator: Authenticator, admission: Admission) -> None:
        self.reach = reach
        self._authenticator = authenticator
        self._admission = admission

    def decide(self, head: RequestHead, server_name: str | None, exchange: Exchange) -> Passage | Deferred[Passage]:
        """The way upstream. Raises, or fails with, :class:`~kubeoidcproxy.errors.Rejection`."""
        asked = self._read(head, server_name, exchange)
        token: bytes | None = head.block.memo.get(find_bearer)
        if token is None:
            token = head.block.memo[find_bearer] = find_bearer((name, value) for name, value, _ in head.fields)
        caller = self._authenticator.recall(token)
        if caller is None:
            return Deferred.fromCoroutine(self._authenticate(asked, token, exchange))
        held = self._admit(asked, caller, exchange)
        if held is None:
            return self._pass(asked, caller, exchange)
        return Deferred.fromCoroutine(self._pass_later(held, asked, caller, exchange))

    # Without knowing who asks.

    def _read(self, head: RequestHead, server_name: str | None, exchange: Exchange) -> _Asked:
        """Where the request is going; fills in what the record can know by now.

        :raises Rejection: 400 for a target, Host or header that is malformed.
        """
        reach = self.reach
        try:
            named = head.block.memo[reach] if reach in head.block.memo else _named_by_host(head, reach)
            if head.target == b"*" and head.method == b"OPTIONS":
                return _Asked(head, None, head.target, misdirected=False)
            way = reach.ways.get((server_name, head.target)) or _way(reach, server_name, head.target)
        except Malformed as error:
            raise Rejection(error.status, error.text) from None
        if way.cluster is not None:
            exchange.cluster = way.cluster.name
            exchange.upstream_target = way.target.decode("ascii")
        return _Asked(head, way.cluster, way.target, misdirected=named is not None and named != way.name)

    # Who asks.

    async def _authenticate(self, asked: _Asked, token: bytes, exchange: Exchange) -> Passage:
        caller = await self._authenticator.authenticate(token)
        held = self._admit(asked, caller, exchange)
        if held is not None:
            await held
        return self._pass(asked, caller, exchange)

    async def _pass_later(self, held: Awaitable[None], asked: _Asked, caller: Caller, exchange: Exchange) -> Passage:
        await held
        return self._pass(asked, caller, exchange)

    # With who asks known: on every request, remembered token or not.

    def _admit(self, asked: _Asked, caller: Caller, exchange: Exchange) -> Awaitable[None] | None:
        """The cluster's own conditions, then the audit trail's.

        :raises Rejection: 401, 403, 404 or 421.
        """
        exchange.caller = caller
        if asked.misdirected:
            raise Rejection(421, "this connection does not serve the cluster that Host names")
        cluster = _known(asked)
        try:
            cluster.welcome(caller)
        except Rejection:
            exchange.caller = None  # to this cluster the token says nothing
            raise
        refuse_inbound(asked.head.fields, caller.user.username)
        return self._admission.admit(exchange)

    def _pass(self, asked: _Asked, caller: Caller, exchange: Exchange) -> Passage:
        """The finished head.

        :raises Rejection: 500 if it fails its check, 503 if there is no credential to send it with.
        """
        cluster = _known(asked)
        block = caller.memo.get(outgoing)
        if block is None:
            block = caller.memo[outgoing] = outgoing(caller.user)
        additions = Additions(
            host=cluster.host,
            authorization=cluster.authorization(),
            impersonation=block,
            audit_id=exchange.audit_id.encode("ascii"),
            source=exchange.source.encode("ascii"),
        )
        head = upstream_head(asked.head, cluster.base_path + asked.target, additions)
        return Passage(cluster.pool, head, cluster.response_timeout)


def _named_by_host(head: RequestHead, reach: Reach) -> str | None:
    """The cluster that the one valid Host belongs to (RFC 9112 section 3.2); remembered with the fields."""
    values = head.values(b"host")
    if len(values) != 1:
        raise Malformed("exactly one Host is required")
    named = head.block.memo[reach] = reach.routing.named(host_name(values[0]))
    return named


def _way(reach: Reach, server_name: str | None, asked: bytes) -> _Way:
    """Judge a target, and remember where it leads.

    :raises Malformed: 400, or 421.
    """
    routing, target = reach.routing, asked
    if not target.startswith(b"/"):
        target = _origin_form(target, routing.named(server_name), routing)
    judge_target(target)
    name, target = routing.choose(server_name, target)
    judge_path(target)
    way = _Way(name, reach.clusters.get(name) if name is not None else None, target)
    if len(asked) <= MAX_REMEMBERED:
        if len(reach.ways) >= MAX_WAYS:
            reach.ways.clear()
        reach.ways[server_name, asked] = way
    return way


def _origin_form(target: bytes, chosen: str | None, routing: Routing) -> bytes:
    """An absolute-form target, if its authority is the cluster that the connection is for.

    :raises Malformed: 400, or 421 if it names another cluster.
    """
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() != b"https":
        raise Malformed("malformed request target")
    authority, slash, path = rest.partition(b"/")
    named = routing.named(host_name(authority))
    if named is None or named != chosen:
        raise Malformed("the target names another server", 421 if named else 400)
    return slash + path if slash else b"/"


def _known(asked: _Asked) -> Cluster:
    if asked.cluster is None:
        raise Rejection(404, "no cluster is served under this name; with a path prefix it is https://HOST/CLUSTER")
    return asked.cluster
