"""A reload while streams are open: those that are no longer welcome end, all others go on."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from whole.asking import await_true, head, new_target
from whole.client import Client
from whole.daemon import FRONT, Config, ProxiedClusters, numbered, people
from whole.tokens import Issuer
from whole.upstream import Request, UpstreamConnection, switch_and_echo

SOON = 10.0  # seconds, policy row "reload"


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[ProxiedClusters]:
    running = ProxiedClusters(tmp_path, access_log="json").start()
    try:
        yield running
    finally:
        running.stop()


def watching(connection: UpstreamConnection, request: Request) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
    while connection.read_some():
        pass


class Stream:
    """A tunnel or a watch of one caller to one cluster."""

    def __init__(self, clusters: ProxiedClusters, cluster: str, issuer: Issuer, *, tunnel: bool) -> None:
        self.cluster, self.issuer, self.tunnel = cluster, issuer.name, tunnel
        self.client: Client = clusters.connect(FRONT)
        clusters.upstreams[cluster].reply = switch_and_echo("websocket") if tunnel else watching
        fields = ("Connection: Upgrade", "Upgrade: websocket") if tunnel else ()
        target = new_target(cluster, "/exec" if tunnel else "/log?follow=true")
        self.client.send(head(target, *fields, host=FRONT, bearer=issuer.token("user1", uid="1")))
        self.client.hear(b" 101 " if tunnel else b"begin")

    def goes_on(self) -> bool:
        """Whether it does: a tunnel answers, a watch has not ended."""
        if not self.tunnel:
            return not self.client.heard_within(0.05)
        with suppress(AssertionError):
            self.client.send(b"ping")
            self.client.hear(b"ping")
        return not self.client.ended


def remove_cluster(config: Config) -> None:
    config["clusters"] = [cluster for cluster in config["clusters"] if cluster["name"] != "b"]


def remove_issuer(config: Config) -> None:
    issuers = config["authentication"]["staticIssuers"]
    config["authentication"]["staticIssuers"] = [i for i in issuers if i["issuer"] == people().name]


def accept_one_issuer(config: Config) -> None:
    config["clusters"][0]["issuers"] = [people().name]


CHANGES: list[tuple[Callable[[Config], None], Callable[[Stream], bool], str]] = [
    (remove_cluster, lambda s: s.cluster == "b", "its cluster was removed"),
    (remove_issuer, lambda s: s.issuer == numbered().name, "its issuer was removed"),
    (
        accept_one_issuer,
        lambda s: s.cluster == "a" and s.issuer == numbered().name,
        "its cluster no longer accepts its issuer",
    ),
]


@pytest.mark.parametrize(("change", "unwelcome", "reason"), CHANGES, ids=[reason for _, _, reason in CHANGES])
def test_streams_that_are_no_longer_welcome_end(
    change: Callable[[Config], None], unwelcome: Callable[[Stream], bool], reason: str, clusters: ProxiedClusters
) -> None:
    """Within ten seconds, on both sides, with the reason in the log; all others go on, even on a cluster whose settings
    have changed."""
    streams = [
        Stream(clusters, cluster, issuer, tunnel=tunnel)
        for cluster in "abc"
        for issuer in (people(), numbered())
        for tunnel in (True, False)
    ]
    ending = [stream for stream in streams if unwelcome(stream)]
    staying = [stream for stream in streams if not unwelcome(stream)]
    assert ending
    change(clusters.config)
    clusters.write_config()
    began = time.monotonic()
    clusters.daemon.signal(signal.SIGHUP)
    for stream in ending:
        assert stream.client.end()
    assert time.monotonic() - began < SOON
    clusters.daemon.stdout.wait_for(rf"{len(ending)} open requests ended: {re.escape(reason)}")
    clusters.daemon.stdout.wait_for("configuration reloaded")
    assert [stream for stream in staying if not stream.goes_on()] == []
    await_true(lambda: streams_upstream(clusters) == len(staying), "the end of the others upstream")
    for stream in streams:
        stream.client.reset()


def streams_upstream(clusters: ProxiedClusters) -> int:
    connections = [c for upstream in clusters.upstreams.values() for c in upstream.connections]
    return sum(bool(c.requests) and not c.ended for c in connections)
