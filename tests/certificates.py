"""Certificates for tests: an authority, and what it issues."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate (with its chain) and its key, as PEM."""

    cert_pem: str
    key_pem: str

    def write(self, folder: Path, stem: str = "tls") -> tuple[Path, Path]:
        cert, key = folder / f"{stem}.crt", folder / f"{stem}.key"
        cert.write_text(self.cert_pem)
        key.write_text(self.key_pem)
        key.chmod(0o600)
        return cert, key


class Authority:
    """A certificate authority, made anew."""

    def __init__(self, name: str = "test authority", *, signed_by: Authority | None = None) -> None:
        self.key: Key = ec.generate_private_key(ec.SECP256R1())
        self.subject = _name(name)
        issuer, signer = (self.subject, self.key) if signed_by is None else (signed_by.subject, signed_by.key)
        builder = _builder(self.subject, issuer, self.key, _in_days(-1), _in_days(30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(signer, hashes.SHA256())
        self.pem = _pem(self.certificate)

    def issue(
        self, *names: str, key: Key | None = None, days: tuple[float, float] = (-1, 30), common_name: str = ""
    ) -> Issued:
        """A certificate for DNS names and IP addresses, valid in this span of days from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name or (names[0] if names else "nobody"))
        builder = _builder(subject, self.subject, key, _in_days(days[0]), _in_days(days[1]))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), False)
        return Issued(_pem(builder.sign(self.key, hashes.SHA256())), key_pem(key))


def self_signed(*names: str) -> Issued:
    """A server certificate that no authority signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(names[0]), _name(names[0]), key, _in_days(-1), _in_days(30))
    builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), False)
    return Issued(_pem(builder.sign(key, hashes.SHA256())), key_pem(key))


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_pem(key: Key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, start: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=end,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _in_days(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
