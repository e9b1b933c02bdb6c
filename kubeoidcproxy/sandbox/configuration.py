"""What an operator would write for the sandbox's proxy: configuration, AuthenticationConfiguration, kubeconfigs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.files import write_private, write_yaml

Document = dict[str, Any]

DRAIN_TIMEOUT = "2s"
"""How long Ctrl-C waits for an open ``kubectl get -w``."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running API server, and the proxy's own credential there."""

    name: str
    server: str
    ca_file: Path
    token: str
    audit_log: Path
    pods: Path


@dataclass(frozen=True, slots=True)
class Issuers:
    """The addresses of the issuers of people and of CI jobs, and the authority of both."""

    people: str
    ci: str
    ca: str


def write_configuration(
    folder: Path,
    *,
    port: int,
    certificates: Iterable[tuple[Path, Path]],
    issuers: Issuers,
    pipeline_certificate: Path,
    upstreams: Iterable[Upstream],
) -> Path:
    """Write all files of the daemon and return the one that ``--config`` names.

    :param certificates: files of certificate and key; the first is also for clients that name no server.
    """
    write_yaml(folder / "authentication.yaml", authentication(issuers))
    configuration = {
        "listen": [{"address": f"127.0.0.1:{port}"}],
        "tls": {"certificates": [{"certFile": cert_file, "keyFile": key_file} for cert_file, key_file in certificates]},
        "admin": {"address": "127.0.0.1:0"},
        "authentication": {
            "configFile": "authentication.yaml",
            "staticIssuers": [static_issuer(pipeline_certificate)],
        },
        "clusters": [_cluster(folder, upstream) for upstream in upstreams],
        "audit": {"accessLog": {"path": access_log(folder), "format": "json"}},
        "limits": {"drainTimeout": DRAIN_TIMEOUT},
    }
    return write_yaml(folder / "kubeoidcproxy.yaml", configuration)


def access_log(folder: Path) -> Path:
    return folder / "access.log"


def authentication(issuers: Issuers) -> Document:
    """The file of kube-apiserver itself: people by their groups, jobs of one owner by their repository."""
    people = {
        "issuer": _issuer(issuers.people, issuers.ca),
        "claimMappings": {
            "username": {"claim": "sub", "prefix": world.PEOPLE_PREFIX},
            "groups": {"claim": "groups", "prefix": world.PEOPLE_PREFIX},
            "uid": {"claim": "uid"},
        },
    }
    ci = {
        "issuer": _issuer(issuers.ci, issuers.ca),
        "claimMappings": {"username": {"claim": "sub", "prefix": world.CI_PREFIX}},
        "claimValidationRules": [{"claim": "repository_owner_id", "requiredValue": world.CI_OWNER}],
    }
    version = "apiserver.config.k8s.io/v1"
    return {"apiVersion": version, "kind": "AuthenticationConfiguration", "jwt": [people, ci]}


def static_issuer(certificate: Path) -> Document:
    """The pipeline that signs its own tokens; there is no discovery, only its certificate."""
    return {
        "issuer": world.PIPELINE_ISSUER,
        "audiences": [world.AUDIENCE],
        "certificateFile": certificate,
        "claimMappings": {"username": {"claim": "sub", "prefix": world.PIPELINE_PREFIX}},
    }


def _issuer(url: str, ca: str) -> Document:
    return {"url": url, "audiences": [world.AUDIENCE], "certificateAuthority": ca}


def _cluster(folder: Path, upstream: Upstream) -> Document:
    kubeconfig = write_yaml(folder / f"{upstream.name}.kubeconfig", _kubeconfig(folder, upstream))
    names = [world.server_name(upstream.name)]
    return {"name": upstream.name, "serverNames": names, "pathPrefix": True, "kubeconfig": kubeconfig.name}


def _kubeconfig(folder: Path, upstream: Upstream) -> Document:
    """The proxy's way to an API server."""
    user = _credential(folder, upstream)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "upstream", "cluster": {"server": upstream.server, "certificate-authority": upstream.ca_file}}
        ],
        "users": [{"name": "proxy", "user": user}],
        "contexts": [{"name": "upstream", "context": {"cluster": "upstream", "user": "proxy"}}],
        "current-context": "upstream",
    }


def _credential(folder: Path, upstream: Upstream) -> Document:
    """Both ways to name a token occur: in the kubeconfig itself, and in a file of its own."""
    if upstream.name != world.CLUSTERS[-1]:
        return {"token": upstream.token}
    return {"tokenFile": write_private(folder / f"{upstream.name}.token", upstream.token)}
