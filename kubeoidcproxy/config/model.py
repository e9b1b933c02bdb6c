"""``Config``: the whole file, and the rules that join its sections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from kubeoidcproxy.config.admin import Admin, Egress, Log
from kubeoidcproxy.config.audit import Audit
from kubeoidcproxy.config.clusters import Cluster
from kubeoidcproxy.config.issuers import Authentication
from kubeoidcproxy.config.limits import Limits, Streams
from kubeoidcproxy.config.listen import Listener, Network
from kubeoidcproxy.config.roles import Roles
from kubeoidcproxy.config.section import Breach, Section, known
from kubeoidcproxy.config.tls import TLS
from kubeoidcproxy.config.values import DNSLabel, FilePath, NonEmpty


def _workers(value: object) -> object:
    if value != "auto" and (type(value) is not int or value < 1):
        raise ValueError('must be a number from 1 on, or "auto"')
    return value


Workers = Annotated[
    int | Literal["auto"],
    BeforeValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]


def proxy_headers_have_a_sender(config: Config) -> Iterator[Breach]:
    for index, required in known(config.listen, "proxy_protocol"):
        if required and not config.trusted_proxies:
            yield ("listen", index, "proxyProtocol"), "true needs trustedProxies: nobody could send the header"


def cluster_names_are_unique(config: Config) -> Iterator[Breach]:
    seen: dict[str, int] = {}
    for index, name in known(config.clusters, "name"):
        if seen.setdefault(name, index) != index:
            yield ("clusters", index, "name"), f"cluster {name} is defined twice"


def server_names_have_one_cluster(config: Config) -> Iterator[Breach]:
    owners: dict[str, int] = {}
    for index, names in known(config.clusters, "server_names"):
        for place, name in enumerate(names):
            if owners.setdefault(name, index) != index:
                owner = config.clusters[owners[name]].__dict__.get("name", f"clusters[{owners[name]}]")
                yield ("clusters", index, "serverNames", place), f"server name {name} belongs to cluster {owner}"


def some_cluster(config: Config) -> Iterator[Breach]:
    if not config.clusters and config.clusters_directory is None:
        yield ("clusters",), "at least one cluster, here or in clustersDirectory, is required"


def default_cluster_exists(config: Config) -> Iterator[Breach]:
    if config.default_cluster is None or config.clusters_directory is not None:
        return
    names = [name for _, name in known(config.clusters, "name")]
    if config.default_cluster not in names and len(names) == len(config.clusters):
        yield ("defaultCluster",), f"there is no cluster {config.default_cluster}"


class Config(Section):
    """The configuration file of kubeoidcproxy."""

    listen: NonEmpty[Listener]
    """Where clients connect; at least one."""
    trusted_proxies: tuple[Network, ...] = ()
    """CIDRs whose PROXY header and X-Forwarded-For are believed: the client is the rightmost address that is not in
    the list; proxyProtocol: true with an empty list is an error."""
    tls: TLS
    """What clients see in the TLS handshake."""
    admin: Admin | None = None
    """Omit for none; plain HTTP, read-only, keep it on loopback."""
    workers: Workers = 1
    """Processes that share the listening sockets; "auto": one a core. Limits hold per worker; keys, minted tokens,
    reconciler, audit files and sockets belong to the parent."""
    egress: Egress = Egress()
    """How the daemon reaches the world."""
    log: Log = Log()
    """The daemon's own messages, to twistd's log."""
    authentication: Authentication
    """Who the callers are."""
    clusters: tuple[Cluster, ...] = ()
    """The API servers behind the proxy; at least one here or in clustersDirectory."""
    default_cluster: DNSLabel | None = None
    """For clients whose SNI and path name none."""
    clusters_directory: FilePath | None = None
    """Every *.yaml in it is one cluster (same keys; paths relative to that file); added, changed, removed while
    running; a faulty file is logged and left out whole; a name or server name in `clusters` wins, among the files the
    cluster that already serves it."""
    roles: Roles = Roles()
    """Roles that the proxy evaluates itself or keeps in the clusters."""
    audit: Audit = Audit()
    """Who did what."""
    limits: Limits = Limits()
    """What one client may take."""
    streams: Streams = Streams()
    """Watches, logs, exec, port-forwards."""

    rules = (
        proxy_headers_have_a_sender,
        cluster_names_are_unique,
        server_names_have_one_cluster,
        some_cluster,
        default_cluster_exists,
    )
