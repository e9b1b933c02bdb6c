"""Keys out of PEM text."""

from __future__ import annotations

import pytest
from auth.jwt_gen import RING, cert
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kubeoidcproxy.auth.keyset import UnusableKeys
from kubeoidcproxy.auth.static_keys import parse_certificates, parse_public_keys


def public(name: str, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return RING[name].public_key().public_bytes(Encoding.PEM, form)


def test_certificates() -> None:
    """Several in one file, old and new, with text between them."""
    keys = parse_certificates(b"old\n" + cert("rsa1")[0] + b"new:\n" + cert("ec256")[0])
    assert [key.algorithms[0] for key in keys.keys] == ["RS256", "ES256"]
    assert not keys.binds_kid


def test_public_keys() -> None:
    """Either form of PEM; the same key twice is one."""
    keys = parse_public_keys(public("rsa1") + public("rsa1", PublicFormat.PKCS1) + public("ec384"))
    assert [key.algorithms[-1] for key in keys.keys] == ["PS512", "ES384"]


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "0 PEM blocks"),
        (b"nothing", "0 PEM blocks"),
        (public("rsa1")[:-20], "no end"),
        (public("rsa1") + public("ec256")[:60], "no end"),
        (public("rsa1").replace(b"M", b"!"), "cannot be read"),
        (cert("rsa1")[0], "wanted PUBLIC KEY"),
        (public("rsa1024"), "1024 bits"),
        (public("ed1"), "type"),
        (
            RING["rsa1"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "PEM block PRIVATE KEY, wanted PUBLIC KEY",
        ),
        (public("ec256") * 65, "65 PEM blocks"),
    ],
)
def test_all_or_nothing(pem: bytes, why: str) -> None:
    """A file in which one block cannot be used is no file of keys: it may be half written."""
    with pytest.raises(UnusableKeys, match=why):
        parse_public_keys(pem)


def test_a_broken_certificate() -> None:
    with pytest.raises(UnusableKeys, match="a CERTIFICATE cannot be read"):
        parse_certificates(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
