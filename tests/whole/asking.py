"""Requests that can be told apart, and what the access log (as JSON) and the metrics have of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any

from whole.client import Answer, closing
from whole.daemon import FRONT, A, Daemon, ProxiedClusters, people
from whole.upstream import PATIENCE

_numbers = count(1)


@cache
def token() -> str:
    return people().token("user1")


def new_target(cluster: str = "", tail: str = "") -> str:
    """A target that no other request has.

    :param cluster: reached by its path prefix, on the name FRONT.
    """
    prefix = f"/{cluster}" if cluster else ""
    return f"{prefix}/api/v1/namespaces/default/pods/n{next(_numbers)}{tail}"


def head(target: str, *fields: str, method: str = "GET", host: str = A, bearer: str = "") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {bearer or token()}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(clusters: ProxiedClusters, raw: bytes, server_name: str | None = A) -> Answer:
    """One request on a connection of its own."""
    with closing(clusters.connect(server_name)) as client:
        return client.request(raw)


def ask_cluster(clusters: ProxiedClusters, target: str, *fields: str, method: str = "GET") -> Answer:
    """One request to a cluster by its path prefix."""
    return ask(clusters, head(target, *fields, method=method, host=FRONT), FRONT)


def records(clusters: ProxiedClusters, target: str) -> list[dict[str, Any]]:
    """All records of the access log about this target, when everything before now is written."""
    stdout = clusters.daemon.stdout
    stdout.wait_for(re.escape(f'"uri":"{target}"'))
    last = new_target()
    ask(clusters, head(last, bearer="nobody"))  # no upstream has a part in it
    stdout.wait_for(re.escape(f'"uri":"{last}"'))
    return [json.loads(line) for line in stdout.lines if f'"uri":"{target}"' in line]


def the_record(clusters: ProxiedClusters, target: str) -> dict[str, Any]:
    """The only one (law 11)."""
    (record,) = records(clusters, target)
    return record


def number(daemon: Daemon, name: str, **labels: str) -> float:
    """A metric."""
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    line = re.escape(f"kubeoidcproxy_{name}" + (f"{{{inside}}}" if inside else ""))
    match = re.search(rf"^{line} (\S+)$", daemon.get("/metrics")[1], re.MULTILINE)
    assert match, line
    return float(match[1])


def await_true(condition: Callable[[], bool], what: str) -> None:
    """For what nobody tells us of."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def end_kept_connections(clusters: ProxiedClusters, *names: str) -> None:
    """The next request to one of these clusters needs a new connection."""
    for connection in [c for name in names for c in clusters.upstreams[name].connections if not c.ended]:
        connection.stop()

    def kept() -> float:
        return sum(number(clusters.daemon, "upstream_connections", cluster=name, state="idle") for name in names)

    await_true(lambda: kept() == 0, "the end of kept connections")


def await_quiet(clusters: ProxiedClusters) -> None:
    """Until no client is connected, nor any request in flight."""

    def numbers() -> set[float]:
        return {number(clusters.daemon, name) for name in ("client_connections", "requests_in_flight")}

    await_true(lambda: numbers() == {0}, "quiet")
