"""The life of the daemon: start in order, reload as a whole or not at all, drain and end with 0."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from kubeoidcproxy import notify
from kubeoidcproxy.admin import Check, Subject, admin_site
from kubeoidcproxy.audit.log import AccessLog
from kubeoidcproxy.auth.authenticator import OIDCAuthenticator
from kubeoidcproxy.auth.trust import accepted_issuers
from kubeoidcproxy.config.admin import Log
from kubeoidcproxy.config.limits import Limits
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import ConfigError
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.fleet import Fleet
from kubeoidcproxy.gate import RequestGate
from kubeoidcproxy.limits import ConnectionLimits, Turnstile
from kubeoidcproxy.listening import Entrance, ListeningSockets, numeric_host, shown
from kubeoidcproxy.metrics import Metrics
from kubeoidcproxy.prepared import Prepared, prepare, read_pairs
from kubeoidcproxy.relay.switchboard import Switchboard
from kubeoidcproxy.reload import FileWatch
from kubeoidcproxy.tls.seam import server_factory
from kubeoidcproxy.tls.server import ServerContexts

ADMIN_LISTENING = "admin listening on {address}"
RISKY = "risky setting: {problem}"
LEFT_OUT = "{problem}"
CERTIFICATES_RELOADED = "serving certificates reloaded"
RELOADED = "configuration reloaded"
NOT_RELOADED = "configuration not reloaded, the old one stays in force: {problem}"
CUT = "{count} open requests ended: {reason}"


class Daemon(Service):
    """Everything that runs, in the order in which it starts and stops.

    :param prepared: the configuration in force; a reload exchanges it.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        path: Path,
        prepared: Prepared,
        contexts: ServerContexts,
        authenticator: OIDCAuthenticator,
        fleet: Fleet,
        gate: RequestGate,
        switchboard: Switchboard,
        turnstile: Turnstile,
        access_log: AccessLog | None,
        metrics: Metrics,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._prepared = prepared
        self._contexts = contexts
        self._authenticator = authenticator
        self._fleet = fleet
        self._gate = gate
        self._switchboard = switchboard
        self._turnstile = turnstile
        self._access_log = access_log
        self._metrics = metrics
        self._admin_port: Any = None
        self._watch = FileWatch(reactor)
        self._reloading = False
        config = prepared.loaded.config
        self._entrance = Entrance(reactor, self._speaking_tls(config.limits), turnstile, fleet.idle)
        self._sockets = ListeningSockets(reactor, self._entrance, keep_alive=config.streams.tcp_keep_alive)

    @property
    def log(self) -> Log:
        """How the daemon's own messages are written."""
        return self._prepared.loaded.config.log

    def _speaking_tls(self, limits: Limits) -> IProtocolFactory:
        return server_factory(
            self._contexts,
            self._switchboard.build,
            handshake_timeout=limits.handshake_timeout,
            clock=self._reactor,
        )

    # Start.

    def startService(self) -> None:
        """Start all; what cannot be bound ends the process with a text and 1."""
        super().startService()  # type: ignore[no-untyped-call]
        self._tell_of(self._prepared)
        if self._access_log is not None:
            self._access_log.start()
        self._authenticator.start()
        self._fleet.start()
        self._switchboard.startService()
        try:
            self._listen()
        except (CannotListenError, OSError) as error:
            raise SystemExit(f"kubeoidcproxy: {error}") from None
        self._watch_files()
        self._reactor.callWhenRunning(self._running)

    def _listen(self) -> None:
        config = self._prepared.loaded.config
        self._sockets.open([listener.endpoint for listener in config.listen])
        if config.admin is not None:
            site = admin_site(
                checks=self._checks, draining=lambda: self._switchboard.draining, exposition=self._metrics.exposition
            )
            endpoint = config.admin.endpoint
            self._admin_port = self._reactor.listenTCP(endpoint.port, site, interface=numeric_host(endpoint.host))

    def _running(self) -> None:
        """The reactor runs and has installed its signal handlers: ours replace them, before anybody hears of us."""
        for number, heard in ((signal.SIGTERM, self._end), (signal.SIGINT, self._end), (signal.SIGHUP, self.reload)):
            signal.signal(number, lambda *_, heard=heard: self._reactor.callFromThread(heard))
        self._sockets.announce()
        if self._admin_port is not None:
            self._log.info(ADMIN_LISTENING, address=shown(self._admin_port))
        notify.ready()

    def _end(self) -> None:
        """Drain; whoever says it twice does not want to wait."""
        if self._switchboard.draining:
            self._switchboard.give_up()
        else:
            self._reactor.stop()

    # Stop.

    def stopService(self) -> Deferred[None]:
        """Accept nothing more, let what is in flight finish, then close the rest."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        notify.stopping()
        self._switchboard.draining = True
        self._watch.stop()
        await self._sockets.close()
        await self._switchboard.stopService()
        self._fleet.stop()
        self._authenticator.stop()
        if self._admin_port is not None:
            await self._admin_port.stopListening()
        if self._access_log is not None:
            self._access_log.close()

    # Reload.

    def reload(self) -> None:
        """Read the configuration again: all of it comes into force, or nothing (law 9)."""
        if not self._reloading and self.running:
            self._reloading = True
            Deferred.fromCoroutine(self._reload()).addErrback(lambda f: self._log.failure("reloading", f))

    async def _reload(self) -> None:
        notify.reloading()
        try:
            if self._access_log is not None:
                self._access_log.reopen()
            prepared = await self._in_thread(prepare, self._path)
            self._apply(prepared)
        except ConfigError as error:
            for problem in error.problems:
                self._log.error(NOT_RELOADED, problem=str(problem))
            self._metrics.reloaded(None)
        finally:
            self._reloading = False
            notify.ready()

    def _apply(self, prepared: Prepared) -> None:
        config, loaded = prepared.loaded.config, prepared.loaded
        self._tell_of(prepared)
        accepted = accepted_issuers(loaded.authentication.jwt, loaded.static_issuers)
        self._contexts.replace(prepared.pairs, min_version=config.tls.min_version)
        self._authenticator.replace(accepted, token_cache_ttl=config.authentication.token_cache_ttl)
        self._authenticator.refresh()
        self._fleet.keep_alive = config.streams.tcp_keep_alive
        self._gate.reach = self._fleet.replace(prepared.upstreams, config.default_cluster)
        self._limit(config)
        self._prepared = prepared
        self._cut_unwelcome({issuer.trust.issuer for issuer in accepted})
        self._watch_files()
        self._log.info(RELOADED)

    def _limit(self, config: Config) -> None:
        """New limits; who is over one of them by now stays."""
        limits = config.limits
        self._switchboard.limits = limits
        self._turnstile.limits = connection_limits(limits)
        self._entrance.factory = self._speaking_tls(limits)
        self._sockets.probe_peers(config.streams.tcp_keep_alive)

    def _cut_unwelcome(self, issuers: set[str]) -> None:
        """Streams whose cluster or issuer is gone, or no longer meant for each other, end (policy "reload")."""
        clusters = self._gate.reach.clusters

        def cluster_removed(exchange: Exchange) -> bool:
            return exchange.cluster not in clusters

        def issuer_removed(exchange: Exchange) -> bool:
            return exchange.caller is None or exchange.caller.issuer not in issuers

        def not_accepted(exchange: Exchange) -> bool:
            cluster, caller = clusters.get(exchange.cluster), exchange.caller
            if cluster is None or cluster.issuers is None or caller is None:
                return False
            return caller.issuer not in cluster.issuers

        for reason, unwelcome in (
            ("its cluster was removed", cluster_removed),
            ("its issuer was removed", issuer_removed),
            ("its cluster no longer accepts its issuer", not_accepted),
        ):
            count = self._switchboard.registry.cut_where(reason, unwelcome)
            if count:
                self._log.info(CUT, count=count, reason=reason)

    def _watch_files(self) -> None:
        """What is reloaded on change, without a signal."""
        prepared = self._prepared
        pairs = [path for pair in prepared.loaded.config.tls.certificates for path in (pair.cert_file, pair.key_file)]
        keys = (self._authenticator.key_files(), self._authenticator.reload_key_files)
        certificates = (pairs, self._certificates_changed)
        self._watch.replace({"keys": keys, "certificates": certificates}, since=prepared.read_at)

    def _certificates_changed(self) -> None:
        Deferred.fromCoroutine(self._reload_certificates()).addErrback(
            lambda failure: self._log.failure("reloading certificates", failure)
        )

    async def _reload_certificates(self) -> None:
        """Only a set without a fault replaces the one in force: a half-written file is completed a moment later."""
        faults: list[str] = []
        sections = self._prepared.loaded.config.tls.certificates
        pairs = await self._in_thread(read_pairs, sections, faults)
        for fault in faults:
            self._log.warn(LEFT_OUT, problem=fault)
        if pairs and len(pairs) >= min(len(sections), len(self._contexts.pairs)):
            self._contexts.replace(pairs)
            self._log.info(CERTIFICATES_RELOADED)

    def _in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        """Law 7: files may be on a slow disk."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments)

    # What is told.

    def _tell_of(self, prepared: Prepared) -> None:
        """What is risky, what is left out, and what may be a label."""
        for warning in prepared.loaded.warnings:
            self._log.warn(RISKY, problem=str(warning))
        for problem in prepared.left_out:
            self._log.error(LEFT_OUT, problem=problem)
        issuers = [state.issuer for state in self._authenticator.issuers()]
        self._metrics.know([section.name for section, _ in prepared.upstreams], issuers)
        self._metrics.reloaded(time.time())

    def _checks(self) -> list[Check]:
        issuers = [Check(Subject.ISSUER, s.issuer, "" if s.ready else s.text) for s in self._authenticator.issuers()]
        served = {member.section.name: member.problem for member in self._fleet.members}
        sections = self._prepared.loaded.config.clusters
        return issuers + [Check(Subject.CLUSTER, s.name, served.get(s.name, "left out")) for s in sections]


def connection_limits(limits: Limits) -> ConnectionLimits:
    """``limits`` as the turnstile knows them."""
    return ConnectionLimits(limits.max_connections, limits.max_connections_per_address)
