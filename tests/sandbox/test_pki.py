"""Certificates of the sandbox, judged by a verifier that is strict."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from kubeoidcproxy.sandbox.pki import CertificateAuthority, KeyPair

AUTHORITY = CertificateAuthority()


def handshake(pair: KeyPair, folder: Path, name: str) -> None:
    """TLS in memory, with every check that OpenSSL has (the default of Python 3.13)."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*pair.write(folder, "server"))
    client = ssl.create_default_context(cadata=AUTHORITY.pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("name", ["localhost", "a.example.test", "b.wild.example.test", "127.0.0.1", "::1"])
def test_server_names(tmp_path: Path, name: str) -> None:
    pair = AUTHORITY.server("localhost", "a.example.test", "*.wild.example.test", "127.0.0.1", "::1")
    handshake(pair, tmp_path, name)


def test_other_names(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(AUTHORITY.server("localhost"), tmp_path, "other.example.test")


def test_client_names() -> None:
    """CN is the user, each O a group, as kube-apiserver reads them."""
    certificate = x509.load_pem_x509_certificate(AUTHORITY.client("alice", "devs", "ops").certificate)
    assert [str(attribute.value) for attribute in certificate.subject] == ["devs", "ops", "alice"]


def test_files(tmp_path: Path) -> None:
    """The key is for the owner's eyes, and not for those of a log."""
    pair = AUTHORITY.client("alice")
    certificate, key = pair.write(tmp_path, "alice")
    assert certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert key.stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in repr(pair)
