"""A certificate chain and its key, judged as a whole before anything uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from kubeoidcproxy.tls.names import normalise

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey


class CertificateError(Exception):
    """A pair cannot be used. The message names the file and never quotes it."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A chain, the leaf first, and the key of that leaf."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)
    dns_names: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]
    not_before: datetime
    not_after: datetime

    def install(self, context: SSL.Context) -> None:
        """Make a new context present this pair. Raises :class:`OpenSSL.SSL.Error` for one that OpenSSL refuses."""
        context.use_certificate(self.chain[0])
        for certificate in self.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(self.key)
        context.check_privatekey()


def load_pair(cert_file: Path, key_file: Path) -> CertificatePair:
    """Read a pair from two PEM files (which may be one and the same)."""
    return parse_pair(_read(cert_file), _read(key_file), cert_source=str(cert_file), key_source=str(key_file))


def parse_pair(cert_pem: bytes, key_pem: bytes, *, cert_source: str, key_source: str) -> CertificatePair:
    """The pair in two PEM texts; the sources name them in errors."""
    chain = parse_chain(cert_pem, cert_source)
    key = _parse_key(key_pem, key_source)
    if key.public_key() != chain[0].public_key():
        raise CertificateError(f"{key_source}: is not the key of the first certificate in {cert_source}")
    dns_names, addresses = _alternative_names(chain[0], cert_source)
    leaf = chain[0]
    pair = CertificatePair(chain, key, dns_names, addresses, leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    _try_out(pair, cert_source)
    return pair


def parse_chain(pem: bytes, source: str) -> tuple[x509.Certificate, ...]:
    """All the certificates of a PEM text, at least one."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        raise CertificateError(f"{source}: holds no readable PEM certificate") from None
    # The parser leaves out a last block without its END line, which is what a half-written file looks like.
    after_the_last = pem.rpartition(b"-----END ")[2].partition(b"-----")[2]
    if pem.count(b"-----BEGIN CERTIFICATE-----") != len(chain) or b"-----" in after_the_last:
        raise CertificateError(f"{source}: one of its PEM certificates is cut off")
    return chain


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read: {error.strerror}") from None


def _parse_key(pem: bytes, source: str) -> PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise CertificateError(f"{source}: the private key is encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        # The parser's own text may quote what it read.
        raise CertificateError(f"{source}: holds no readable PEM private key") from None
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{source}: a key of this type cannot serve TLS")
    return key


def _alternative_names(
    leaf: x509.Certificate, source: str
) -> tuple[tuple[str, ...], tuple[IPv4Address | IPv6Address, ...]]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    except ValueError:
        raise CertificateError(f"{source}: the certificate's extensions cannot be read") from None
    addresses = cast("list[IPv4Address | IPv6Address]", names.get_values_for_type(x509.IPAddress))
    return tuple(map(normalise, names.get_values_for_type(x509.DNSName))), tuple(addresses)


def _try_out(pair: CertificatePair, source: str) -> None:
    # OpenSSL has opinions of its own (security level: key sizes, hash of the signature).
    try:
        pair.install(SSL.Context(SSL.TLS_METHOD))
    except SSL.Error as error:
        reasons = ", ".join(entry[-1] for entry in error.args[0]) if error.args else ""
        raise CertificateError(f"{source}: OpenSSL refuses the pair: {reasons}") from None
