"""What the sandbox signs, the proxy's own verification reads; they share no code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.jws import read_token
from kubeoidcproxy.sandbox.tokens import PrivateKey, SigningKey, load_key, new_ec_key, new_rsa_key

RSA, EC = new_rsa_key("r"), new_ec_key("e")


def pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256")])
def test_signs(key: SigningKey, alg: str) -> None:
    keys = parse_jwks(json.dumps({"keys": [RSA.jwk(), EC.jwk()]}).encode())
    token = read_token(key.sign({"sub": "ü"}, alg).encode())
    (verifier,) = keys.candidates(token.kid, token.alg)
    assert (token.alg, token.kid) == (alg, key.kid)
    assert json.loads(token.payload) == {"sub": "ü"}
    assert verifier.verifies(token)


@pytest.mark.parametrize(("key", "alg"), [(RSA, "ES256"), (EC, "RS256"), (RSA, "none"), (RSA, "HS256")])
def test_cannot_sign(key: SigningKey, alg: str) -> None:
    with pytest.raises(ValueError, match=alg):
        key.sign({}, alg)


def test_a_key_from_a_file(tmp_path: Path) -> None:
    """A pipeline's key has no name; its algorithm is that of its type."""
    file = tmp_path / "pipeline.key"
    for key, alg in ((RSA, "RS256"), (EC, "ES256")):
        file.write_bytes(pem(key.private_key))
        token = read_token(load_key(file).sign({}).encode())
        assert (token.alg, token.kid) == (alg, None)
    file.write_bytes(pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(ValueError, match="neither RSA nor P-256"):
        load_key(file)
