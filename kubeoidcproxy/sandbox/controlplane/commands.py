"""The command lines of a control plane's processes, and where their files lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubeoidcproxy.sandbox.controlplane.certificates import ClusterCertificates

ETCD_SOCKET = "etcd.sock"
"""Relative to the working folder of all processes: the path of a Unix socket may have 107 bytes at most."""

NODE = "minikubelet"
"""Name of the one Node."""

CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
)
"""What a namespace needs to come and go, and roles to be aggregated; workloads have no controllers here."""

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""Who did what, at which time and with which result, but no bodies."""


@dataclass(frozen=True)
class ClusterFiles:
    """Where a cluster's files lie, all below its own folder."""

    directory: Path

    @property
    def certificates(self) -> Path:
        return self.directory / "pki"

    @property
    def pods(self) -> Path:
        """Folders of the pods, ``NAMESPACE/POD``."""
        return self.directory / "pods"

    @property
    def audit_policy(self) -> Path:
        return self.directory / "audit-policy.json"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def kubeconfig(self, user: str) -> Path:
        return self.directory / f"{user}.kubeconfig"


def etcd(assets: Path) -> list[str]:
    """One etcd for all clusters, without a single TCP port: who cannot enter the folder cannot reach it.

    The advertised addresses are for other members and for clients that ask; there are none of either.
    """
    return [
        str(assets / "etcd"),
        "--name=sandbox",
        "--data-dir=etcd",
        f"--listen-client-urls=unix://{ETCD_SOCKET}",
        "--listen-peer-urls=unix://etcd-peer.sock",
        "--advertise-client-urls=http://client.invalid:1",
        "--initial-advertise-peer-urls=http://peer.invalid:1",
        "--initial-cluster=sandbox=http://peer.invalid:1",
        "--unsafe-no-fsync",  # nothing here has to survive a power cut, and fsync is most of the time of a write
        "--log-level=warn",
    ]


def api_server(
    assets: Path, name: str, port: int, files: ClusterFiles, certificates: ClusterCertificates, flags: Sequence[str]
) -> list[str]:
    """A cluster's kube-apiserver; ``flags`` come last and so win over ours."""
    return [
        str(assets / "kube-apiserver"),
        f"--etcd-servers=unix://{ETCD_SOCKET}",
        f"--etcd-prefix=/{name}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--permit-port-sharing",  # SO_REUSEPORT, because we hold the port until it is taken (reserve_port)
        "--advertise-address=127.0.0.1",
        # Or it complains for ever that the endpoint of its own Service may not be on loopback.
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={certificates.api_server.certificate_file}",
        f"--tls-private-key-file={certificates.api_server.key_file}",
        f"--client-ca-file={certificates.client_ca}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates.service_account_public_key}",
        f"--service-account-signing-key-file={certificates.service_account_key}",
        f"--kubelet-client-certificate={certificates.kubelet_client.certificate_file}",
        f"--kubelet-client-key={certificates.kubelet_client.key_file}",
        f"--kubelet-certificate-authority={certificates.kubelet_ca}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={files.audit_policy}",
        f"--audit-log-path={files.audit_log}",
        *flags,
    ]


def controller_manager(assets: Path, files: ClusterFiles, certificates: ClusterCertificates) -> list[str]:
    return [
        str(assets / "kube-controller-manager"),
        f"--kubeconfig={files.kubeconfig('controller-manager')}",
        "--secure-port=0",
        "--leader-elect=false",
        # With its own user alone it lacks the rights to empty a namespace, which then stays Terminating.
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={certificates.service_account_key}",
        f"--root-ca-file={certificates.server_ca}",
        f"--controllers={','.join(CONTROLLERS)}",
    ]


def kubelet(assets: Path, files: ClusterFiles, certificates: ClusterCertificates) -> list[str]:
    return [
        str(assets / "minikubelet"),
        f"--kubeconfig={files.kubeconfig('node')}",
        f"--node-name={NODE}",
        f"--pods-directory={files.pods}",
        f"--tls-cert-file={certificates.kubelet.certificate_file}",
        f"--tls-private-key-file={certificates.kubelet.key_file}",
        f"--client-ca-file={certificates.kubelet_ca}",
    ]
