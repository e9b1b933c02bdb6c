"""One running cluster: where it is, and what a test or the sandbox does to it as its administrator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeoidcproxy.sandbox.controlplane.certificates import ClusterCertificates, KeyPair
from kubeoidcproxy.sandbox.controlplane.commands import ClusterFiles
from kubeoidcproxy.sandbox.controlplane.processes import POLL_SECONDS, ControlPlaneError
from kubeoidcproxy.sandbox.controlplane.rest import ApiClient

SETTLE_SECONDS = 20.0
"""For what a controller does in well under a second, on a machine that is busy with other tests."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers; all of its methods block and raise ApiError when the API server refuses."""

    name: str
    server: str
    """``https://127.0.0.1:PORT``, without a slash at the end."""
    files: ClusterFiles
    certificates: ClusterCertificates
    api: ApiClient
    """For anything the methods below do not cover."""
    has_controllers: bool
    """A kube-controller-manager runs; without it namespaces stay Terminating when they are deleted."""
    has_kubelet: bool
    """The kubelet stand-in runs; without it pods stay Pending."""

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the API server's certificate."""
        return self.certificates.server_ca

    @property
    def admin_kubeconfig(self) -> Path:
        """A kubeconfig with a client certificate of the group system:masters."""
        return self.files.kubeconfig("admin")

    @property
    def audit_log(self) -> Path:
        """JSON lines, an event each; they are written up to a second after the request."""
        return self.files.audit_log

    def pod_directory(self, namespace: str, pod: str) -> Path:
        """The folder that stands for a pod's file system: ``exec`` works there, ``<container>.log`` is the log."""
        return self.files.pods / namespace / pod

    def apply(self, manifests: Iterable[dict[str, Any]]) -> None:
        """Create objects, or change them to what is given: namespaces first, then the rest in its order."""
        for manifest in sorted(manifests, key=lambda manifest: manifest["kind"] != "Namespace"):
            self.api.apply(manifest)
            if manifest["kind"] == "Namespace":
                self.ensure_default_service_account(manifest["metadata"]["name"])

    def ensure_default_service_account(self, namespace: str) -> None:
        """Wait for it, or create it where no controller does: no pod can be created in a namespace without it."""
        if not self.has_controllers:
            metadata = {"name": "default", "namespace": namespace}
            self.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        missing = f"no ServiceAccount default in namespace {namespace}"
        _wait_until(lambda: self.api.exists(path), missing, SETTLE_SECONDS)

    def wait_until_running(self, namespace: str, pod: str, *, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until a pod's phase is Running.

        :param timeout: seconds.
        :raises ControlPlaneError: it is not Running in time, or there is no kubelet that could make it so.
        """
        if not self.has_kubelet:
            raise ControlPlaneError(f"cluster {self.name} has no kubelet stand-in (minikubelet), so no pod can run")
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"

        def is_running() -> bool:
            return bool(self.api.get(path)["status"].get("phase") == "Running")

        _wait_until(is_running, f"pod {namespace}/{pod} does not run", timeout)

    def service_account_token(
        self, namespace: str, name: str, seconds: int = 3600, *, audiences: Sequence[str] = ()
    ) -> str:
        """Have a token issued for a ServiceAccount (TokenRequest).

        :param seconds: lifetime; the API server refuses less than 600.
        :param audiences: none means the API server's own.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        specification = {"expirationSeconds": seconds, "audiences": list(audiences)}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": specification}
        return str(self.api.create(path, request)["status"]["token"])

    def client_certificate(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """Issue a certificate with which one is ``user`` here."""
        stem = self.files.certificates / f"user-{user.replace('/', '_')}"
        return self.certificates.client_authority.issue_client(stem, user, groups)


def _wait_until(condition: Callable[[], bool], otherwise: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"{otherwise} after {timeout:g} s")
        time.sleep(POLL_SECONDS)
