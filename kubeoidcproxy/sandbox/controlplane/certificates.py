"""The certificate authorities of one cluster and what they sign, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kubeoidcproxy.sandbox import pki
from kubeoidcproxy.sandbox.files import write_private

LIFETIME = timedelta(days=365)

API_SERVER_ADDRESSES = ("127.0.0.1", "10.96.0.1")
"""Where it listens, and the first address of its service range, as kubeadm gives it."""
API_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key, both PEM files."""

    certificate_file: Path
    key_file: Path


@dataclass(frozen=True)
class CertificateAuthority:
    """An authority whose certificates are wanted as files; its own key never leaves memory."""

    signing: pki.CertificateAuthority

    @classmethod
    def create(cls, common_name: str) -> CertificateAuthority:
        return cls(pki.CertificateAuthority(common_name, lifetime=LIFETIME))

    def write(self, path: Path) -> Path:
        path.write_text(self.signing.pem)
        return path

    def issue_server(self, stem: Path, common_name: str, *, names: Sequence[str] = ()) -> KeyPair:
        """Sign a serving certificate for loopback (and the service address), and for ``names``.

        :param stem: path of the files to write, without suffix.
        """
        pair = self.signing.server(*names, *API_SERVER_ADDRESSES, common_name=common_name)
        return KeyPair(*pair.write(stem.parent, stem.name))

    def issue_client(self, stem: Path, common_name: str, organizations: Sequence[str] = ()) -> KeyPair:
        """Sign a client certificate; Kubernetes reads CN as the user and each O as a group."""
        return KeyPair(*self.signing.client(common_name, *organizations).write(stem.parent, stem.name))


@dataclass(frozen=True)
class ClusterCertificates:
    """All that the processes of one cluster show and trust; paths of PEM files but for the authority in memory."""

    client_authority: CertificateAuthority
    server_ca: Path
    client_ca: Path
    kubelet_ca: Path
    api_server: KeyPair
    kubelet: KeyPair
    kubelet_client: KeyPair
    admin: KeyPair
    controller_manager: KeyPair
    node: KeyPair
    service_account_key: Path
    service_account_public_key: Path

    @classmethod
    def write(cls, directory: Path) -> ClusterCertificates:
        """Make a cluster's certificates anew, below an existing folder.

        Kubelets have an authority of their own, so that the API server's client certificate opens nothing but them.
        """
        server, client, kubelet = map(CertificateAuthority.create, ("server-ca", "client-ca", "kubelet-ca"))
        key, public_key = _write_service_account_keys(directory)
        return cls(
            client_authority=client,
            server_ca=server.write(directory / "server-ca.crt"),
            client_ca=client.write(directory / "client-ca.crt"),
            kubelet_ca=kubelet.write(directory / "kubelet-ca.crt"),
            api_server=server.issue_server(directory / "api-server", "kube-apiserver", names=API_SERVER_NAMES),
            kubelet=kubelet.issue_server(directory / "kubelet", "kubelet"),
            kubelet_client=kubelet.issue_client(directory / "kubelet-client", "kube-apiserver-kubelet-client"),
            admin=client.issue_client(directory / "admin", "admin", ["system:masters"]),
            controller_manager=client.issue_client(directory / "controller-manager", "system:kube-controller-manager"),
            node=client.issue_client(directory / "node", "minikubelet", ["system:masters"]),
            service_account_key=key,
            service_account_public_key=public_key,
        )


def _write_service_account_keys(directory: Path) -> tuple[Path, Path]:
    """RSA, because that is what clusters sign ServiceAccount tokens with: our users' tests meet RS256."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_file = directory / "sa.pub"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_file.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return write_private(directory / "sa.key", private.decode()), public_file
