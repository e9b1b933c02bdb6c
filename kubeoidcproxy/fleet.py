"""The clusters of a configuration as they are served: their routes, credentials and connections, and how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from kubeoidcproxy.clusters.cluster import Cluster
from kubeoidcproxy.clusters.credentials import open_credential
from kubeoidcproxy.clusters.kubeconfig import ClientCertificateSpec, CredentialSpec, Upstream
from kubeoidcproxy.clusters.pool import Pool, PooledConnection
from kubeoidcproxy.config.clusters import Cluster as ClusterSection
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.gate import Reach
from kubeoidcproxy.routing import Route, Routing
from kubeoidcproxy.tls.certificates import CertificatePair, parse_pair
from kubeoidcproxy.tls.client import ClientTLS
from kubeoidcproxy.tls.errors import ConnectRefused, ConnectTimeout, UpstreamConnectError, VerificationFailed
from kubeoidcproxy.tls.seam import connect

PROBE = 10.0  # seconds between attempts to reach an API server that is away
SWEEP = 5.0  # seconds between looks at connections that were idle too long

_KINDS: dict[type, str] = {ConnectTimeout: "timeout", ConnectRefused: "refused", VerificationFailed: "tls"}

UNREACHABLE = "cluster {cluster} cannot be reached: {detail}"
REACHABLE = "cluster {cluster} can be reached"


class Member:
    """One served cluster: its snapshot, and what was last heard of its API server."""

    _log = Logger()

    def __init__(
        self,
        section: ClusterSection,
        upstream: Upstream,
        reactor: Any,
        on_failure: Callable[[str, str], None],
        keep_alive: Callable[[], float],
    ) -> None:
        self.section = section
        self.upstream = upstream
        self.problem = "not tried yet"
        self._reactor = reactor
        self._on_failure = on_failure
        self._keep_alive = keep_alive
        self.credential = open_credential(upstream.credential, reactor)
        self._tls = ClientTLS(
            ca_pem=upstream.ca_pem,
            server_name=upstream.tls_server_name,
            certificate=_certificate(section.name, upstream.credential),
        )
        self.pool = Pool(self._connect, reactor.seconds)
        self.cluster = Cluster(
            name=section.name,
            host=upstream.host_header,
            base_path=upstream.base_path,
            issuers=None if section.issuers is None else frozenset(section.issuers),
            audiences=None if section.audiences is None else frozenset(section.audiences),
            response_timeout=section.response_timeout,
            credential=self.credential,
            pool=self.pool,
        )

    @property
    def route(self) -> Route:
        """How clients reach it."""
        return Route(self.section.name, tuple(self.section.server_names), self.section.path_prefix)

    def probe(self) -> None:
        """Try to reach the API server; a connection that is made is kept for the next request."""
        attempt = self.pool.acquire(fresh=True)
        if isinstance(attempt, Deferred):
            attempt.addCallbacks(self.pool.take_back, lambda failure: None)

    def retire(self) -> None:
        """It is served no more, or another snapshot is."""
        self.pool.retire()
        self.credential.stop()

    def _connect(self, build: Callable[[], PooledConnection]) -> Deferred[PooledConnection]:
        upstream = self.upstream
        made = cast(
            "Deferred[PooledConnection]",
            connect(
                self._reactor,
                upstream.host,
                upstream.port,
                self._tls,
                build,
                timeout=self.section.connect_timeout,
                keep_alive=self._keep_alive(),
            ),
        )
        return made.addCallbacks(self._reached, self._not_reached)

    def _reached(self, connection: PooledConnection) -> PooledConnection:
        if self.problem:
            self.problem = ""
            self._log.info(REACHABLE, cluster=self.section.name)
        return connection

    def _not_reached(self, failure: Failure) -> Failure:
        """Any failure to connect, as what a client is told of it (policy "upstream")."""
        error = failure.value
        if not isinstance(error, UpstreamConnectError):
            return failure
        if self.problem != str(error):
            self.problem = str(error)
            self._log.warn(UNREACHABLE, cluster=self.section.name, detail=error.detail)
        self._on_failure(self.section.name, _KINDS.get(type(error), "failed"))
        status = 504 if isinstance(error, ConnectTimeout) else 502
        return Failure(Rejection(status, str(error), detail=error.detail))


def _certificate(name: str, spec: CredentialSpec) -> CertificatePair | None:
    if not isinstance(spec, ClientCertificateSpec):
        return None
    source = f"client certificate of cluster {name}"
    return parse_pair(spec.cert_pem.encode(), spec.key_pem.encode(), cert_source=source, key_source=source)


class Fleet:
    """All served clusters.

    :param on_failure: told (cluster, kind) of every failed connection.
    :param keep_alive: seconds of silence after which TCP probes an API server; may be exchanged (reload).
    """

    def __init__(self, reactor: Any, *, on_failure: Callable[[str, str], None], keep_alive: float) -> None:
        self.keep_alive = keep_alive
        self._reactor = reactor
        self._on_failure = on_failure
        self._members: dict[str, Member] = {}
        self._loops = [(LoopingCall(self._sweep), SWEEP), (LoopingCall(self._probe), PROBE)]

    @property
    def members(self) -> Sequence[Member]:
        """In the order of the configuration."""
        return tuple(self._members.values())

    def idle(self) -> int:
        """Connections that wait for a request, to all API servers."""
        return sum(member.pool.idle for member in self._members.values())

    def replace(self, upstreams: Iterable[tuple[ClusterSection, Upstream]], default: str | None) -> Reach:
        """Serve these; what did not change keeps its connections."""
        before, self._members = self._members, {}
        for section, upstream in upstreams:
            member = before.get(section.name)
            if member is None or (member.section, member.upstream) != (section, upstream):
                member = Member(section, upstream, self._reactor, self._on_failure, lambda: self.keep_alive)
            self._members[section.name] = member
        for name, member in before.items():
            if self._members.get(name) is not member:
                member.retire()
        routing = Routing([member.route for member in self.members], default)
        return Reach(routing, {name: member.cluster for name, member in self._members.items()})

    def start(self) -> None:
        """Look who is there."""
        for loop, seconds in self._loops:
            loop.clock = self._reactor
            loop.start(seconds, now=loop.f == self._probe)

    def stop(self) -> None:
        """Give all connections up that nobody uses."""
        for loop, _ in self._loops:
            if loop.running:
                loop.stop()
        for member in self.members:
            member.retire()

    def _sweep(self) -> None:
        for member in self.members:
            member.pool.sweep()

    def _probe(self) -> None:
        for member in self.members:
            if member.problem:
                member.probe()
