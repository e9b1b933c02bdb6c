"""A pair that is not whole is refused, and the refusal names the file and quotes nothing."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from certificates import Authority, Issued, key_pem, rsa_key
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from kubeoidcproxy.tls.certificates import CertificateError, load_pair

AUTHORITY = Authority()


def refusal(cert: Path, key: Path) -> str:
    with pytest.raises(CertificateError) as caught:
        load_pair(cert, key)
    return str(caught.value)


def test_the_names_and_the_span_are_read(tmp_path: Path) -> None:
    issued = AUTHORITY.issue("A.Example.com", "*.k8s.example.com", "10.0.0.7", "::1")
    pair = load_pair(*issued.write(tmp_path))
    assert pair.dns_names == ("a.example.com", "*.k8s.example.com")
    assert pair.addresses == (ipaddress.ip_address("10.0.0.7"), ipaddress.ip_address("::1"))
    assert pair.not_before < datetime.datetime.now(datetime.UTC) < pair.not_after


def test_a_chain_keeps_its_order(tmp_path: Path) -> None:
    issued = AUTHORITY.issue("a")
    pair = load_pair(*Issued(issued.cert_pem + AUTHORITY.pem, issued.key_pem).write(tmp_path))
    assert [c.issuer for c in pair.chain] == [AUTHORITY.subject] * 2
    assert pair.chain[1].subject == AUTHORITY.subject


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    issued = AUTHORITY.issue("a", key=rsa_key())
    both = tmp_path / "both.pem"
    both.write_text(issued.key_pem + issued.cert_pem)
    assert load_pair(both, both).dns_names == ("a",)


def test_a_certificate_without_alternative_names_is_good_for_the_default(tmp_path: Path) -> None:
    assert load_pair(*AUTHORITY.issue().write(tmp_path)).dns_names == ()


def test_the_key_is_in_no_repr(tmp_path: Path) -> None:
    pair = load_pair(*AUTHORITY.issue("a").write(tmp_path))
    assert "key" not in repr(pair)


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_a_missing_file(tmp_path: Path, missing: str) -> None:
    cert, key = AUTHORITY.issue("a").write(tmp_path)
    (tmp_path / missing).unlink()
    assert refusal(cert, key) == f"{tmp_path / missing}: cannot be read: No such file or directory"


def test_the_key_of_another_certificate(tmp_path: Path) -> None:
    cert, _ = AUTHORITY.issue("a").write(tmp_path)
    _, key = AUTHORITY.issue("b").write(tmp_path, "other")
    assert refusal(cert, key) == f"{key}: is not the key of the first certificate in {cert}"


def test_every_half_written_certificate_is_refused(tmp_path: Path) -> None:
    issued = AUTHORITY.issue("a")
    whole = issued.cert_pem + AUTHORITY.pem
    cert, key = issued.write(tmp_path)
    end_of_the_last = len(whole.rstrip())
    for length in {0, 1, 20, 27, 28, 400, *range(len(issued.cert_pem) + 5, end_of_the_last, 9), end_of_the_last - 1}:
        cert.write_text(whole[:length])
        assert refusal(cert, key).startswith(f"{cert}: ")
    cert.write_text(whole.rstrip())
    assert len(load_pair(cert, key).chain) == 2


def test_a_half_written_key(tmp_path: Path) -> None:
    cert, key = AUTHORITY.issue("a").write(tmp_path)
    whole = key.read_text()
    for length in range(0, len(whole.rstrip()) - 1, 13):
        key.write_text(whole[:length])
        assert refusal(cert, key) == f"{key}: holds no readable PEM private key"


def test_an_encrypted_key(tmp_path: Path) -> None:
    issued = AUTHORITY.issue("a")
    key = load_pem_private_key(issued.key_pem.encode(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    cert_file, key_file = Issued(issued.cert_pem, encrypted.decode()).write(tmp_path)
    assert refusal(cert_file, key_file) == f"{key_file}: the private key is encrypted"


def test_a_key_that_tls_does_not_know(tmp_path: Path) -> None:
    strange = dsa.generate_private_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    cert_file, key_file = Issued(AUTHORITY.issue("a").cert_pem, strange.decode()).write(tmp_path)
    assert refusal(cert_file, key_file) == f"{key_file}: a key of this type cannot serve TLS"


def test_a_pair_that_openssl_finds_too_weak(tmp_path: Path) -> None:
    weak = rsa_key(1024)
    cert, key = AUTHORITY.issue("a", key=weak).write(tmp_path)
    key.write_text(key_pem(weak))
    assert refusal(cert, key).startswith(f"{cert}: OpenSSL refuses the pair: ")
