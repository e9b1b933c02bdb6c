"""What Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubeoidcproxy import metrics as m
from kubeoidcproxy.exchange import ALLOW, DENY, Exchange

ISSUER = "https://issuer.example.com"


@pytest.fixture
def metrics() -> m.Metrics:
    made = m.Metrics()
    made.know({"prod", "stage"}, {ISSUER})
    return made


def value(metrics: m.Metrics, name: str, /, **labels: str) -> float | None:
    """The value of one sample on the page, None where it is not there."""
    page, _ = metrics.exposition("")
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            if sample.name == f"kubeoidcproxy_{name}" and sample.labels == labels:
                return sample.value
    return None


def exchange_of(target: str = "/api/v1/pods", **fields: object) -> Exchange:
    exchange = Exchange("id", "10.0.0.1", 0.0, 100.0)
    exchange.method, exchange.target, exchange.upstream_target = "GET", target, target
    exchange.cluster, exchange.decision, exchange.status = "prod", ALLOW, 200
    for name, content in fields.items():
        setattr(exchange, name, content)
    return exchange


def done(metrics: m.Metrics, exchange: Exchange, ended_at: float = 100.2) -> None:
    if exchange.status:
        metrics.answered(exchange)
    exchange.ended_at = ended_at
    metrics.ended(exchange)


def test_requests_are_counted_by_cluster_and_code(metrics: m.Metrics) -> None:
    """Once each, refused ones too; those that ended unanswered have code 0."""
    done(metrics, exchange_of())
    done(metrics, exchange_of())
    done(metrics, exchange_of(status=401, decision=DENY, cluster=""))
    done(metrics, exchange_of(status=0, decision=""))
    assert value(metrics, "requests_total", cluster="prod", code="200") == 2
    assert value(metrics, "requests_total", cluster="", code="401") == 1
    assert value(metrics, "requests_total", cluster="prod", code="0") == 1


def test_only_names_of_the_configuration_are_labels(metrics: m.Metrics) -> None:
    """What strangers make up counts under the empty name."""
    done(metrics, exchange_of(cluster="made-up", bytes_in=3))
    metrics.token_judged("https://evil.example.com", "token is expired")
    assert value(metrics, "requests_total", cluster="", code="200") == 1
    assert value(metrics, "request_body_bytes_total", cluster="") == 3
    assert value(metrics, "token_validations_total", issuer="", result="failure", reason="token is expired") == 1
    assert b"made" not in metrics.exposition("")[0]


def test_bytes(metrics: m.Metrics) -> None:
    """Both ways, when a request is over."""
    done(metrics, exchange_of(bytes_in=5, bytes_out=7))
    done(metrics, exchange_of(bytes_in=10, bytes_out=20))
    assert value(metrics, "request_body_bytes_total", cluster="prod") == 15
    assert value(metrics, "response_bytes_total", cluster="prod") == 27


def test_durations(metrics: m.Metrics) -> None:
    """By class of verb; a value on the edge belongs below it; the buckets are cumulative."""
    done(metrics, exchange_of(), ended_at=100.5)
    done(metrics, exchange_of(), ended_at=161.0)
    done(metrics, exchange_of(method="PATCH"), ended_at=100.001)
    name = "request_duration_seconds"
    for edge, count in {"0.25": 0, "0.5": 1, "60.0": 1, "+Inf": 2}.items():
        assert value(metrics, f"{name}_bucket", cluster="prod", verb="read", le=edge) == count
    assert value(metrics, f"{name}_count", cluster="prod", verb="read") == 2
    assert value(metrics, f"{name}_sum", cluster="prod", verb="read") == 61.5
    assert value(metrics, f"{name}_count", cluster="prod", verb="write") == 1


@pytest.mark.parametrize(
    "exchange",
    [
        exchange_of(decision=DENY, status=403),
        exchange_of("/api/v1/pods?watch=1"),
        exchange_of("/api/v1/namespaces/n/pods/p/exec", status=101, upgraded=True),
        exchange_of(status=0),
    ],
)
def test_what_has_no_duration(metrics: m.Metrics, exchange: Exchange) -> None:
    """Refusals take no time, streams take as long as somebody looks, aborts say nothing about the API server."""
    done(metrics, exchange)
    assert value(metrics, "request_duration_seconds_count", cluster="prod", verb="read") is None


def test_open_streams(metrics: m.Metrics) -> None:
    """From the answer to the end; also where the cluster is removed in between."""
    watch = exchange_of("/api/v1/pods?watch=1")
    refused = exchange_of("/api/v1/pods?watch=1", status=403)
    metrics.answered(watch)
    metrics.answered(refused)
    metrics.answered(exchange_of())
    assert value(metrics, "open_streams", cluster="prod") == 1
    metrics.know({"stage"}, {ISSUER})
    metrics.ended(watch)
    metrics.ended(refused)
    assert value(metrics, "open_streams", cluster="prod") == 0
    assert value(metrics, "open_streams", cluster="") is None


def test_token_validations(metrics: m.Metrics) -> None:
    """The names that the alert rules use."""
    metrics.token_judged(ISSUER, "")
    metrics.token_judged(ISSUER, "expired")
    metrics.token_judged("", "missing")
    assert value(metrics, "token_validations_total", issuer=ISSUER, result="success", reason="") == 1
    assert value(metrics, "token_validations_total", issuer=ISSUER, result="failure", reason="expired") == 1
    assert value(metrics, "token_validations_total", issuer="", result="failure", reason="missing") == 1


def test_reloads(metrics: m.Metrics) -> None:
    """A refused one leaves the time of the one in force."""
    metrics.reloaded(1000.0)
    metrics.reloaded(None)
    assert value(metrics, "config_reloads_total", result="success") == 1
    assert value(metrics, "config_reloads_total", result="failure") == 1
    assert value(metrics, "config_last_reload_successful") == 0
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == 1000


def test_connect_errors(metrics: m.Metrics) -> None:
    """By cluster and class of fault."""
    metrics.connect_failed("prod", "refused")
    assert value(metrics, "upstream_connect_errors_total", cluster="prod", reason="refused") == 1


READINGS = [content for content in vars(m).values() if isinstance(content, m.Reading)]


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_readings(metrics: m.Metrics, reading: m.Reading) -> None:
    """Numbers that others keep are asked for each time."""
    now = [1.0]
    metrics.read(reading, lambda: [(tuple("x" for _ in reading.labels), now[0])])
    name = f"{reading.name}_total" if reading.counter else reading.name
    labels = dict.fromkeys(reading.labels, "x")
    assert value(metrics, name, **labels) == 1
    now[0] = 2.0
    assert value(metrics, name, **labels) == 2


def test_every_name_is_ours(metrics: m.Metrics) -> None:
    """The contract: names start with kubeoidcproxy_; and no `_created` doubles the page."""
    done(metrics, exchange_of())
    page = metrics.exposition("")[0].decode()
    samples = [line for line in page.splitlines() if not line.startswith("#")]
    assert samples
    assert all(line.startswith("kubeoidcproxy_") for line in samples)
    assert "_created" not in page
    assert "kubeoidcproxy_build_info{" in page


def test_openmetrics(metrics: m.Metrics) -> None:
    """For scrapers that ask for it."""
    page, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")
