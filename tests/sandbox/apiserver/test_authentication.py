"""Credentials: which counts, and what is none."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeoidcproxy.sandbox.apiserver.authentication import Tokens, authenticate, bearer_token, certificate_user
from kubeoidcproxy.sandbox.apiserver.request import Request
from kubeoidcproxy.sandbox.apiserver.users import User

TOKENS = Tokens({"t": User("alice")}, lambda: 0.0, lambda namespace, name: None)
SUBPROTOCOL = f"base64url.bearer.authorization.k8s.io.{urlsafe_b64encode(b't').decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer t", "t"),
        ("bearer t", "t"),
        ("  Bearer t  ", "t"),
        ("Bearer t and more", "t"),
        ("Bearer  t", ""),
        ("Bearer", ""),
        ("Basic t", ""),
        ("", ""),
    ],
)
def test_bearer_token(header: str, token: str) -> None:
    assert bearer_token(header) == token


def named(*headers: tuple[str, str], certificate: User | None = None) -> str | None:
    user = authenticate(Request("GET", "/", headers, certificate_user=certificate), TOKENS)
    return None if user is None else user.name


def test_a_certificate_beats_a_token() -> None:
    assert named(("authorization", "Bearer bad"), certificate=User("carol")) == "carol"


def test_a_token_as_websocket_protocol() -> None:
    protocol = ("sec-websocket-protocol", f"v5.channel.k8s.io, {SUBPROTOCOL}")
    assert named(protocol, ("upgrade", "websocket")) == "alice"
    assert named(protocol) is None
    assert named(protocol, ("upgrade", "websocket"), ("authorization", "Bearer bad")) is None


def test_nobody() -> None:
    assert named() is None
    assert named(("authorization", "Bearer bad")) is None


def test_whom_a_certificate_names() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [
        (NameOID.ORGANIZATION_NAME, "dev"),
        (NameOID.ORGANIZATION_NAME, "ops"),
        (NameOID.COMMON_NAME, "carol"),
    ]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    user = certificate_user(certificate)
    assert user is not None
    assert (user.name, user.groups) == ("carol", ("dev", "ops"))
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
