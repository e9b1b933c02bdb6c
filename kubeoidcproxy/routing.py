"""Which cluster does a request mean? (policy P4)

The TLS server name decides; where it names no cluster, the first path segment; else the default. A ``Host`` header
never chooses: it may only contradict, and then the request was sent to the wrong place (RFC 9110 section 15.5.20).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubeoidcproxy.http1.grammar import HOST
from kubeoidcproxy.http1.malformed import Malformed


@dataclass(frozen=True, slots=True)
class Route:
    """How one cluster is reached.

    :param server_names: in lower case; ``*.suffix`` stands for exactly one label.
    :param path_prefix: whether ``/<name>/...`` reaches it on names that belong to no cluster.
    """

    name: str
    server_names: tuple[str, ...] = ()
    path_prefix: bool = True


class Routing:
    """All routes. Immutable; a reload makes a new one."""

    def __init__(self, routes: Iterable[Route], default: str | None = None) -> None:
        self._names: dict[str, str] = {}
        self._prefixes: dict[bytes, str] = {}
        self._default = default
        for route in routes:
            self._names.update((name, route.name) for name in route.server_names)
            if route.path_prefix:
                self._prefixes[route.name.encode()] = route.name

    def named(self, name: str | None) -> str | None:
        """The cluster that a server name belongs to: exact before wildcard. None if it is nobody's."""
        if name is None:
            return None
        return self._names.get(name) or self._names.get("*." + name.partition(".")[2])

    def choose(self, server_name: str | None, target: bytes) -> tuple[str | None, bytes]:
        """The cluster for a target in origin-form, and the target that the cluster is asked for.

        The prefix is compared byte by byte: an encoded one names no cluster.
        """
        cluster = self.named(server_name)
        if cluster is not None:
            return cluster, target
        path, mark, query = target.partition(b"?")
        segment, _, rest = path[1:].partition(b"/")
        cluster = self._prefixes.get(segment)
        if cluster is not None:
            return cluster, b"/" + rest + mark + query
        return self._default, target


def host_name(host: bytes) -> str:
    """The name in a ``Host`` header or an authority: lower case, without port and trailing dot.

    :raises Malformed: it is no host (RFC 3986 section 3.2.2).
    """
    match = HOST.fullmatch(host)
    if match is None or int(match[2] or 0) > 65535:
        raise Malformed("invalid Host")
    return match[1].decode("ascii").lower().rstrip(".")
