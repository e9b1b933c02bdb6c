from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from kubeoidcproxy.config.key_files import (
    ca_file_fault,
    certificate_file_fault,
    jwks_file_fault,
    public_key_file_fault,
)

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())


def certificate(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pipeline")])
    now = datetime.datetime(2026, 1, 1)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PublicFormat) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, form)


def test_good_files() -> None:
    both = b"a comment\n" + certificate(RSA) + certificate(P256)
    assert certificate_file_fault(both) is None
    assert certificate_file_fault(both, ["RS256", "ES256"]) is None
    assert ca_file_fault(both) is None
    assert (
        public_key_file_fault(public(RSA, PublicFormat.PKCS1) + public(P256, PublicFormat.SubjectPublicKeyInfo)) is None
    )


@pytest.mark.parametrize("data", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_files_without_what_they_should_hold(data: bytes) -> None:
    assert certificate_file_fault(data) == "holds no certificate (PEM)"
    assert public_key_file_fault(data) == "holds no public key (PEM)"
    assert ca_file_fault(data) == "data does not contain any valid RSA or ECDSA certificates"


def test_a_broken_certificate() -> None:
    broken = b"\n-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"
    assert certificate_file_fault(broken) == "line 2: cannot be read"
    assert ca_file_fault(certificate(RSA) + broken) == "x509: malformed certificate"


def test_a_key_whose_type_signs_no_token() -> None:
    fault = certificate_file_fault(certificate(ed25519.Ed25519PrivateKey.generate()))
    assert fault == "line 1: must be an RSA key or one on P-256, P-384 or P-521"


def test_a_weak_key() -> None:
    weak = public(rsa.generate_private_key(65537, 1024), PublicFormat.PKCS1)
    assert public_key_file_fault(weak) == "line 1: an RSA key of 1024 bits: must have 2048 to 8192"


def test_an_algorithm_that_no_key_allows() -> None:
    assert certificate_file_fault(certificate(P256), ["RS256", "ES384"]) == (
        "line 1: none of RS256, ES384 fits this key (ES256)"
    )


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [1]}', b"[" * 100_000])
def test_what_is_no_jwk_set(data: bytes) -> None:
    assert jwks_file_fault(data) in ("is no JSON", "is no JWK Set")


def test_a_jwk_set() -> None:
    assert jwks_file_fault(b'{"keys": [{"kty": "RSA"}]}') is None
