"""An issuer whose public key the proxy knows from a file, and the tokens that it signs."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from certificates import rsa_key
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUDIENCE = "kubernetes"


class Issuer:
    """Signs what it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = rsa_key()

    @property
    def public_key_pem(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, subject: str, *, lifetime: float = 3600, **claims: Any) -> str:
        """A token for this subject; ``claims`` replace and add."""
        now = int(time.time())
        payload = {"iss": self.name, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": int(now + lifetime)} | claims
        signed = _segment({"alg": "RS256", "typ": "JWT"}) + "." + _segment(payload)
        signature = self._key.sign(signed.encode(), PKCS1v15(), hashes.SHA256())
        return signed + "." + base64url(signature)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _segment(value: dict[str, Any]) -> str:
    return base64url(json.dumps(value).encode())
