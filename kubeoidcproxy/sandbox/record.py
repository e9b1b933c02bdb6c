"""``sandbox.json``: what runs in a sandbox and where, for tests and scripts. Of secrets it names only the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

NAME = "sandbox.json"


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A cluster behind the proxy."""

    server_name: str
    """For TLS: with it the proxy is asked for this cluster."""
    upstream: str
    """The API server's own address, ``https://127.0.0.1:PORT``."""
    upstream_ca_file: Path
    audit_log: Path
    """The API server's: audit.k8s.io/v1 events, a line each, written up to a second late."""
    pods: Path
    """The pods' file systems, ``NAMESPACE/POD``; a container's log is ``CONTAINER.log`` in there."""


@dataclass(frozen=True, slots=True)
class ProxyRecord:
    """The daemon."""

    address: str
    """``127.0.0.1:PORT``; its certificate is also good for ``localhost``."""
    admin: str
    """Plain HTTP: /livez, /readyz, /metrics."""
    process: int
    config_file: Path
    log_file: Path
    access_log: Path
    """An object a line."""


@dataclass(frozen=True, slots=True)
class IssuerRecord:
    """Those who sign tokens."""

    people: str
    """Password grant at its token endpoint."""
    ci: str
    job_token_url: str
    """What a CI job finds in ACTIONS_ID_TOKEN_REQUEST_URL; the ``audience`` is appended."""
    job_token_secret_file: Path
    """What it finds in ACTIONS_ID_TOKEN_REQUEST_TOKEN."""
    pipeline: str
    pipeline_key_file: Path


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    """The whole. Paths are absolute."""

    directory: Path
    backend: str
    """``stand-in`` or ``control plane``."""
    ca_file: Path
    """Of the proxy and the issuers."""
    kubeconfig: Path
    """Contexts dev, prod (by server name), dev-by-path, prod-by-path; users are the people, ``pipeline`` and ``ci``."""
    passwords: dict[str, Path]
    """By person."""
    issuers: IssuerRecord
    proxy: ProxyRecord
    clusters: dict[str, ClusterRecord]

    def json(self) -> str:
        return _RECORD.dump_json(self, indent=2).decode()


_RECORD = TypeAdapter(SandboxRecord)


def read_record(file: Path) -> SandboxRecord:
    """The record that a running sandbox wrote when all was ready."""
    return _RECORD.validate_json(file.read_bytes())
