"""A kubeconfig that holds all it needs, so that it can be copied anywhere."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from kubeoidcproxy.sandbox.controlplane.certificates import KeyPair
from kubeoidcproxy.sandbox.files import write_private


def write_kubeconfig(path: Path, *, server: str, ca_file: Path, client: KeyPair) -> Path:
    """Write a kubeconfig (mode 0600) whose one context reaches ``server`` with a client certificate."""
    cluster = {"server": server, "certificate-authority-data": _base64(ca_file)}
    user = {
        "client-certificate-data": _base64(client.certificate_file),
        "client-key-data": _base64(client.key_file),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": "client", "user": user}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "client"}}],
        "current-context": "sandbox",
    }
    write_private(path, yaml.safe_dump(document))
    return path


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
