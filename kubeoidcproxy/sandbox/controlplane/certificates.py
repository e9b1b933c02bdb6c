"""The certificate authorities of one cluster and what they sign, as files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
CLOCK_SKEW = timedelta(hours=1)
"""Certificates start in the past: a peer's clock may be behind ours (a virtual machine next door)."""

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
    """A self-signed authority; its key never leaves memory."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, common_name: str) -> CertificateAuthority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(common_name, ())
        builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue_server(self, stem: Path, common_name: str, *, names: Sequence[str] = ()) -> KeyPair:
        """Sign a serving certificate for loopback (and the service address), and for ``names``.

        :param stem: path of the files to write, without suffix.
        """
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(IPv4Address(address)) for address in API_SERVER_ADDRESSES]
        extensions = [x509.SubjectAlternativeName(alternatives), _usage(ExtendedKeyUsageOID.SERVER_AUTH)]
        return self._issue(stem, _name(common_name, ()), extensions)

    def issue_client(self, stem: Path, common_name: str, organizations: Sequence[str] = ()) -> KeyPair:
        """Sign a client certificate; Kubernetes reads CN as the user and each O as a group."""
        return self._issue(stem, _name(common_name, organizations), [_usage(ExtendedKeyUsageOID.CLIENT_AUTH)])

    def _issue(self, stem: Path, subject: x509.Name, extensions: Sequence[x509.ExtensionType]) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self.certificate.subject, key)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        pair = KeyPair(stem.with_name(f"{stem.name}.crt"), stem.with_name(f"{stem.name}.key"))
        pair.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_private(pair.key_file, _private_pem(key))
        return pair


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


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _write_service_account_keys(directory: Path) -> tuple[Path, Path]:
    """RSA, because that is what clusters sign ServiceAccount tokens with: our users' tests meet RS256."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private_file, public_file = directory / "sa.key", directory / "sa.pub"
    write_private(private_file, _private_pem(key))
    public_file.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private_file, public_file


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _usage(purpose: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([purpose])


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )
