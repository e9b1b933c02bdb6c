"""Keys, certificates and the token of a run."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def write_material(directory: Path, issuer: str) -> None:
    """ca.crt; ecdsa.pem and rsa.pem for the proxies; upstream.crt and .key; token and token.pub."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = certificate("bench CA", ca_key, None, ca_key)
    (directory / "ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    keys: dict[str, Key] = {"ecdsa": ec.generate_private_key(ec.SECP256R1()), "rsa": rsa_key()}
    for name, key in keys.items():
        leaf = certificate("localhost", key, ca, ca_key)
        (directory / f"{name}.pem").write_bytes(leaf.public_bytes(Encoding.PEM) + private(key))
    upstream = ec.generate_private_key(ec.SECP256R1())
    (directory / "upstream.key").write_bytes(private(upstream))
    (directory / "upstream.crt").write_bytes(certificate("localhost", upstream, ca, ca_key).public_bytes(Encoding.PEM))
    signer = rsa_key()
    public = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "token.pub").write_bytes(public)
    (directory / "token").write_text(token(signer, issuer))


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def private(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate(name: str, key: Key, issuer: x509.Certificate | None, issuer_key: Key) -> x509.Certificate:
    """A CA if nobody issues it, else a leaf."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def token(key: rsa.RSAPrivateKey, issuer: str) -> str:
    """RS256, of the size that a CI job's has."""
    claims = {
        "iss": issuer,
        "sub": "repo:acme/shop:ref:refs/heads/main",
        "aud": "kubernetes",
        "groups": ["dev", "ops"],
        "iat": int(time.time()),
        "exp": int(time.time()) + 86400,
        "jti": "7b285ee1-50a5-4b0b-bbd7-1c52642475d9",
    }
    signed = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + encoded(signature)).decode()


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
