"""From a request head to its way upstream: the middle of DESIGN's "way of a request", in its order.

Syntax and framing were judged before (:mod:`.http1`); what is left of syntax is judged here first, so that a malformed
request is refused as such and not as unauthenticated. A caller whose token was verified a moment ago passes in plain
calls; only an unknown token waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Reach:
    """Which clusters there are and how they are reached. Immutable; a reload swaps it."""

    routing: Routing
    clusters: Mapping[str, Cluster]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a head asks for, as far as can be said without knowing who asks.

    :param cluster: None where the request names none.
    :param target: for the API server.
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
        said = head.block.memo.get(RequestGate)
        if said is None:
            said = head.block.memo[RequestGate] = find_bearer((name, value) for name, value, _ in head.fields)
        token: bytes = said
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
        try:
            routing = self.reach.routing
            host = head.block.memo.get(_host) or _host(head)
            target = head.target
            if target == b"*" and head.method == b"OPTIONS":
                return _Asked(head, None, target, misdirected=False)
            if not target.startswith(b"/"):
                target = _origin_form(target, routing.named(server_name), routing)
            judge_target(target)
            name, target = routing.choose(server_name, target)
            judge_path(target)
        except Malformed as error:
            raise Rejection(error.status, error.text) from None
        cluster = self.reach.clusters.get(name) if name is not None else None
        if cluster is not None:
            exchange.cluster = cluster.name
            exchange.upstream_target = target.decode("ascii")
        return _Asked(head, cluster, target, misdirected=routing.named(host) not in (None, name))

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


def _host(head: RequestHead) -> str:
    """The one valid Host (RFC 9112 section 3.2)."""
    values = head.values(b"host")
    if len(values) != 1:
        raise Malformed("exactly one Host is required")
    name = head.block.memo[_host] = host_name(values[0])
    return name


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
