"""The composition root: a configuration file becomes one service. The only module that knows everybody."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from kubeoidcproxy.audit.admission import NoAdmission
from kubeoidcproxy.audit.log import RENDERINGS, AccessLog
from kubeoidcproxy.auth.authenticator import OIDCAuthenticator
from kubeoidcproxy.auth.sources import source_opener
from kubeoidcproxy.auth.trust import accepted_issuers
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import ConfigError, Problem
from kubeoidcproxy.daemon import Daemon, connection_limits
from kubeoidcproxy.fleet import Fleet
from kubeoidcproxy.gate import RequestGate
from kubeoidcproxy.interfaces import ExchangeObserver
from kubeoidcproxy.limits import Turnstile
from kubeoidcproxy.metrics import (
    ACCESS_LOG_DROPPED,
    CERTIFICATE_NOT_AFTER,
    CLIENT_CONNECTIONS,
    CONNECTIONS_REFUSED,
    IN_FLIGHT,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_UP,
    Metrics,
    Values,
)
from kubeoidcproxy.prepared import Prepared, prepare
from kubeoidcproxy.relay.switchboard import Switchboard
from kubeoidcproxy.tls.server import ServerContexts


def build(path: Path, reactor: Any, *, daemonised: bool = False) -> Daemon:
    """The whole daemon, not started.

    :param daemonised: the process will leave its terminal, and has no standard output then.
    :raises ConfigError: every problem, before anything listens.
    """
    prepared = prepare(path)
    config = prepared.loaded.config
    access_log = _access_log(path, config, daemonised=daemonised)
    metrics = Metrics()
    authenticator = _authenticator(prepared, reactor, metrics)
    fleet = Fleet(reactor, on_failure=metrics.connect_failed, keep_alive=config.streams.tcp_keep_alive)
    reach = fleet.replace(prepared.upstreams, config.default_cluster)
    gate = RequestGate(reach=reach, authenticator=authenticator, admission=NoAdmission())
    observers: list[ExchangeObserver] = [metrics] if access_log is None else [access_log, metrics]
    turnstile = Turnstile(connection_limits(config.limits))
    switchboard = Switchboard(
        clock=reactor, gate=gate, observers=observers, limits=config.limits, accepted=lambda: turnstile.inside
    )
    contexts = ServerContexts(prepared.pairs, min_version=config.tls.min_version)
    _read_numbers(metrics, switchboard, fleet, contexts, access_log)
    metrics.read(CONNECTIONS_REFUSED, lambda: [((), turnstile.refused)])
    return Daemon(
        reactor,
        path=path,
        prepared=prepared,
        contexts=contexts,
        authenticator=authenticator,
        fleet=fleet,
        gate=gate,
        switchboard=switchboard,
        turnstile=turnstile,
        access_log=access_log,
        metrics=metrics,
    )


def _authenticator(prepared: Prepared, reactor: Any, metrics: Metrics) -> OIDCAuthenticator:
    config = prepared.loaded.config
    keys = config.authentication.keys
    return OIDCAuthenticator(
        accepted_issuers(prepared.loaded.authentication.jwt, prepared.loaded.static_issuers),
        source_opener(reactor, min_refresh_interval=keys.min_refresh_interval, max_stale=keys.max_stale),
        token_cache_ttl=config.authentication.token_cache_ttl,
        max_token_size=config.limits.max_token_size,
        on_verdict=metrics.token_judged,
    )


def _access_log(path: Path, config: Config, *, daemonised: bool) -> AccessLog | None:
    section = config.audit.access_log
    if section is None or section.path is None:
        return None
    if daemonised and str(section.path) == "-":
        message = '"-" is file descriptor 1, which a daemonised process does not have: use twistd -n, or a file'
        raise ConfigError([Problem(str(path), 1, "audit.accessLog.path", message)])
    return AccessLog(str(section.path), RENDERINGS[section.format])


def _read_numbers(
    metrics: Metrics, board: Switchboard, fleet: Fleet, contexts: ServerContexts, access_log: AccessLog | None
) -> None:
    """What others keep and Prometheus asks for."""

    def connections() -> Values:
        for member in fleet.members:
            yield (member.section.name, "open"), member.pool.open
            yield (member.section.name, "idle"), member.pool.idle

    metrics.read(IN_FLIGHT, lambda: [((), len(board.registry))])
    metrics.read(CLIENT_CONNECTIONS, lambda: [((), len(board.connections))])
    metrics.read(UPSTREAM_CONNECTIONS, connections)
    metrics.read(UPSTREAM_UP, lambda: [((member.section.name,), not member.problem) for member in fleet.members])
    metrics.read(CERTIFICATE_NOT_AFTER, lambda: _expiries(contexts))
    metrics.read(ACCESS_LOG_DROPPED, lambda: [((), 0 if access_log is None else access_log.dropped)])


def _expiries(contexts: ServerContexts) -> Values:
    """By the first name of each certificate; the earliest, where several have one name."""
    expiries: dict[str, float] = {}
    for pair in contexts.pairs:
        name = next(iter(pair.dns_names or map(str, pair.addresses)), "")
        expiries[name] = min(expiries.get(name, math.inf), pair.not_after.timestamp())
    return [((name,), seconds) for name, seconds in expiries.items()]
