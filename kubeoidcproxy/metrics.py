"""What Prometheus is told. Labels are names out of the configuration, codes and classes; never a user or a path.

prometheus_client renders; the counting is ours, because on the way of a request a ``labels()`` there costs 3 us and an
increment 1 us, with a lock that nobody needs: everything here happens on the reactor thread, rendering too.

Names that begin ``kubeoidcproxy_audit_`` belong to the audit sinks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from platform import python_version

import OpenSSL
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from twisted.copyright import version as twisted_version

from kubeoidcproxy import __version__
from kubeoidcproxy.exchange import ALLOW, Exchange

PREFIX = "kubeoidcproxy_"

Values = Iterable[tuple[tuple[str, ...], float]]
Kept = dict[tuple[str | int, ...], float]

# Upper edges in seconds; beyond the last is the default responseTimeout of 90 s.
DURATION_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that somebody else keeps, and that is read when Prometheus asks.

    :param name: without the prefix, and without ``_total`` for a counter.
    """

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    counter: bool = False


IN_FLIGHT = Reading("requests_in_flight", "Requests with a caller that have not ended, streams included.")
CLIENT_CONNECTIONS = Reading("client_connections", "Open connections of clients.")
CONNECTIONS_REFUSED = Reading(
    "connections_refused", "Connections closed at once because a limit of connections was reached.", counter=True
)
UPSTREAM_CONNECTIONS = Reading(
    "upstream_connections", "Connections to API servers, by state: open (all) and idle.", ("cluster", "state")
)
UPSTREAM_UP = Reading("upstream_up", "1 while the last attempt to reach the API server was answered.", ("cluster",))
CREDENTIAL_EXPIRY = Reading(
    "upstream_credential_expiry_timestamp_seconds", "When the credential for the API server expires.", ("cluster",)
)
JWKS_LAST_SUCCESS = Reading(
    "jwks_last_success_timestamp_seconds", "When the keys of the issuer were read.", ("issuer",)
)
CERTIFICATE_NOT_AFTER = Reading(
    "tls_certificate_not_after_timestamp_seconds", "When the serving certificate expires.", ("name",)
)
ACCESS_LOG_DROPPED = Reading("access_log_dropped_lines", "Lines of the access log that were lost.", counter=True)


class Metrics:
    """Implement :class:`~kubeoidcproxy.interfaces.ExchangeObserver`; told of the rest by whoever does it."""

    def __init__(self) -> None:
        self._clusters: Collection[str] = frozenset()
        self._issuers: Collection[str] = frozenset()
        self._streams: dict[Exchange, str] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self._registry)
        versions = (__version__, python_version(), twisted_version, OpenSSL.__version__)
        self.read(
            Reading("build_info", "Always 1.", ("version", "python", "twisted", "pyopenssl")), lambda: [(versions, 1)]
        )
        self._requests = self._counter(
            "requests", "Requests answered, by code; 0: ended unanswered.", "cluster", "code"
        )
        self._bytes_in = self._counter("request_body_bytes", "Bytes of request bodies, counted at the end.", "cluster")
        self._bytes_out = self._counter("response_bytes", "Bytes given to clients, counted at the end.", "cluster")
        self._validations = self._counter(
            "token_validations", "Tokens judged; remembered ones are not counted again.", "issuer", "result", "reason"
        )
        self._connect_errors = self._counter("upstream_connect_errors", "Failed connections.", "cluster", "reason")
        self._reloads = self._counter("config_reloads", "Reloads of the configuration.", "result")
        self._durations = _Durations("request_duration_seconds")
        self._registry.register(self._durations)
        self._open_streams = self._gauge("open_streams", "Watches, logs, execs and the like that run.", "cluster")
        self._last_reload = self._gauge("config_last_reload_successful", "1 if the last reload was taken.")
        self._last_success = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration in force was taken."
        )

    def know(self, clusters: Collection[str], issuers: Collection[str]) -> None:
        """What may be a label: all else counts under ``""``, for strangers choose what they call a cluster."""
        self._clusters = frozenset(clusters)
        self._issuers = frozenset(issuers)

    def read(self, reading: Reading, source: Callable[[], Values]) -> None:
        """Have a number read from now on; once for each reading."""
        self._registry.register(_Numbers(reading, source))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The page for Prometheus and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def answered(self, exchange: Exchange) -> None:
        """Count it; a long-running request that succeeds is a stream from now on."""
        cluster = exchange.cluster if exchange.cluster in self._clusters else ""
        _add(self._requests, (cluster, exchange.status), 1)
        if exchange.decision == ALLOW and exchange.status < 300 and exchange.long_running:
            self._streams[exchange] = cluster
            _add(self._open_streams, (cluster,), 1)

    def ended(self, exchange: Exchange) -> None:
        """What it carried, and how long it took if it was sent on, answered, and no stream."""
        cluster = exchange.cluster if exchange.cluster in self._clusters else ""
        _add(self._bytes_in, (cluster,), exchange.bytes_in)
        _add(self._bytes_out, (cluster,), exchange.bytes_out)
        stream = self._streams.pop(exchange, None)
        if stream is not None:
            _add(self._open_streams, (stream,), -1)
        elif not exchange.status:
            _add(self._requests, (cluster, 0), 1)
        elif exchange.decision == ALLOW:
            verb = "read" if exchange.method in ("GET", "HEAD", "OPTIONS") else "write"
            self._durations.observe(cluster, verb, exchange.ended_at - exchange.started_at)

    def token_judged(self, issuer: str, reason: str) -> None:
        """A token was found good (reason ""), or refused for one of a few classes of reasons, as the client is told."""
        known = issuer if issuer in self._issuers else ""
        _add(self._validations, (known, "failure" if reason else "success", reason), 1)

    def connect_failed(self, cluster: str, reason: str) -> None:
        """No connection to an API server: ``reason`` is a word of the caller's, out of a few."""
        _add(self._connect_errors, (cluster, reason), 1)

    def reloaded(self, taken_at: float | None) -> None:
        """The configuration was read again (or first): when it came into force, None where it was refused."""
        taken = taken_at is not None
        _add(self._reloads, ("success" if taken else "failure",), 1)
        self._last_reload[()] = float(taken)
        if taken_at is not None:
            self._last_success[()] = taken_at

    def _counter(self, name: str, documentation: str, *labels: str) -> Kept:
        return self._kept(Reading(name, documentation, labels, counter=True))

    def _gauge(self, name: str, documentation: str, *labels: str) -> Kept:
        return self._kept(Reading(name, documentation, labels))

    def _kept(self, reading: Reading) -> Kept:
        numbers: Kept = {}
        self.read(reading, lambda: ((tuple(map(str, labels)), value) for labels, value in numbers.items()))
        return numbers


def _add(numbers: Kept, labels: tuple[str | int, ...], amount: float) -> None:
    numbers[labels] = numbers.get(labels, 0) + amount


class _Numbers(Collector):
    """A counter or a gauge whose values come from a function."""

    def __init__(self, reading: Reading, source: Callable[[], Values]) -> None:
        self._reading = reading
        self._source = source

    def collect(self) -> Iterator[Metric]:
        reading = self._reading
        family = (CounterMetricFamily if reading.counter else GaugeMetricFamily)(
            PREFIX + reading.name, reading.documentation, labels=reading.labels
        )
        for labels, value in self._source():
            family.add_metric(labels, value)
        yield family


class _Durations(Collector):
    """The histogram of how long requests took, by cluster and class of verb."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._sums: dict[tuple[str, str], float] = {}

    def observe(self, cluster: str, verb: str, seconds: float) -> None:
        labels = (cluster, verb)
        buckets = self._buckets.get(labels)
        if buckets is None:
            buckets = self._buckets[labels] = [0] * (len(DURATION_EDGES) + 1)
            self._sums[labels] = 0.0
        buckets[bisect_left(DURATION_EDGES, seconds)] += 1
        self._sums[labels] += seconds

    def collect(self) -> Iterator[Metric]:
        documentation = "From the end of the request's head to the end of the answer, of what was sent on; no streams."
        family = HistogramMetricFamily(PREFIX + self._name, documentation, labels=("cluster", "verb"))
        for labels, buckets in self._buckets.items():
            total, cumulative = 0, []
            for edge, count in zip((*map(str, DURATION_EDGES), "+Inf"), buckets, strict=True):
                total += count
                cumulative.append((edge, total))
            family.add_metric(labels, cumulative, self._sums[labels])
        yield family
