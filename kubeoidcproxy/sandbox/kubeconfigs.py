"""The kubeconfig of those who come through the proxy: everybody, every cluster, by server name and by path."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.environment import PACKAGE_PATH
from kubeoidcproxy.sandbox.files import write_yaml

Document = dict[str, Any]


def write_kubeconfig(
    path: Path, *, port: int, ca_file: Path, logins: Mapping[str, Sequence[str]], current_user: str
) -> Path:
    """Write it, with a context for each cluster and way, all of them for ``current_user``: ``--user`` changes that.

    :param logins: for each user the arguments of :mod:`kubeoidcproxy.sandbox.login`.
    """
    clusters = dict(_clusters(port, ca_file))
    namespace = world.NAMESPACE
    contexts = {name: {"cluster": name, "user": current_user, "namespace": namespace} for name in clusters}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster} for name, cluster in clusters.items()],
        "users": [{"name": name, "user": _user(arguments)} for name, arguments in logins.items()],
        "contexts": [{"name": name, "context": context} for name, context in contexts.items()],
        "current-context": world.CLUSTERS[0],
    }
    return write_yaml(path, document)


def by_path(cluster: str) -> str:
    """The context that reaches a cluster by the path prefix."""
    return f"{cluster}-by-path"


def _clusters(port: int, ca_file: Path) -> Iterable[tuple[str, Document]]:
    for name in world.CLUSTERS:
        yield (
            name,
            {
                "server": f"https://127.0.0.1:{port}",
                "tls-server-name": world.server_name(name),
                "certificate-authority": ca_file,
            },
        )
        yield by_path(name), {"server": f"https://localhost:{port}/{name}", "certificate-authority": ca_file}


def _user(arguments: Sequence[str]) -> Document:
    """An exec plugin, so that kubectl logs in by itself whenever a token has run out."""
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "interactiveMode": "Never",
            "command": sys.executable,
            "args": ["-m", "kubeoidcproxy.sandbox.login", *arguments],
            "env": [{"name": "PYTHONPATH", "value": PACKAGE_PATH}],
        }
    }
