"""Signing JSON Web Tokens: what an issuer does, and a pipeline with a key of its own.

Only signs. What verifies is :mod:`kubeoidcproxy.auth`, by another library, so that a mistake here cannot agree with
the same mistake there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_SHA256 = hashes.SHA256()
_COORDINATE = 32  # bytes, of a P-256 number


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key: RSA for RS256 and PS256, P-256 for ES256.

    :param kid: its name in the JWKS; "" for a key that is known by other means.
    """

    private_key: PrivateKey = field(repr=False)
    kid: str = ""

    @property
    def alg(self) -> str:
        """What it signs with unless told otherwise."""
        return "RS256" if isinstance(self.private_key, rsa.RSAPrivateKey) else "ES256"

    def sign(self, claims: Mapping[str, Any], alg: str | None = None) -> str:
        """A compact JWS of the claims; ValueError for an ``alg`` that the key cannot serve."""
        chosen = alg or self.alg
        header = {"alg": chosen, "typ": "JWT", **({"kid": self.kid} if self.kid else {})}
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        return f"{signed}.{_base64url(self._signature(signed.encode('ascii'), chosen))}"

    def jwk(self) -> dict[str, str]:
        """Its public half, as a JWKS lists it."""
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            rsa_numbers = self.private_key.public_key().public_numbers()
            size = (rsa_numbers.n.bit_length() + 7) // 8
            members = {"kty": "RSA", "n": _number(rsa_numbers.n, size), "e": _number(rsa_numbers.e, 3)}
        else:
            point = self.private_key.public_key().public_numbers()
            x, y = (_number(value, _COORDINATE) for value in (point.x, point.y))
            members = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        return {**members, "kid": self.kid, "use": "sig"}

    def _signature(self, data: bytes, alg: str) -> bytes:
        key = self.private_key
        if isinstance(key, rsa.RSAPrivateKey) and alg == "RS256":
            return key.sign(data, padding.PKCS1v15(), _SHA256)
        if isinstance(key, rsa.RSAPrivateKey) and alg == "PS256":
            return key.sign(data, padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size), _SHA256)
        if isinstance(key, ec.EllipticCurvePrivateKey) and alg == "ES256":
            numbers = decode_dss_signature(key.sign(data, ec.ECDSA(_SHA256)))
            return b"".join(number.to_bytes(_COORDINATE, "big") for number in numbers)
        raise ValueError(f"the key cannot sign {alg}")


def new_rsa_key(kid: str) -> SigningKey:
    """A fresh RSA key of 2048 bits."""
    return SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=2048), kid)


def new_ec_key(kid: str) -> SigningKey:
    """A fresh P-256 key."""
    return SigningKey(ec.generate_private_key(ec.SECP256R1()), kid)


def load_key(file: Path, kid: str = "") -> SigningKey:
    """A key out of an unencrypted PEM file; ValueError for anything but RSA and P-256."""
    key = load_pem_private_key(file.read_bytes(), password=None)
    is_p256 = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    if isinstance(key, rsa.RSAPrivateKey) or (isinstance(key, ec.EllipticCurvePrivateKey) and is_p256):
        return SigningKey(key, kid)
    raise ValueError("the key is neither RSA nor P-256")


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def _number(value: int, size: int) -> str:
    return _base64url(value.to_bytes(size, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
