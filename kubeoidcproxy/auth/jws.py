"""JSON Web Signature, compact form: read strictly, verified by python-jose. Nothing else here imports it.

Of python-jose only ``jwk.construct`` (once a key) and ``jws.verify`` with one key object and one algorithm are used:
its own header, claim and key reading accept ``crit``, respelled base64, P-384 keys for ES256 and PEM text as an HMAC
secret, and raise TypeError, OverflowError and RecursionError on hostile input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from jose import jwk, jws
from jose.backends.base import Key

from kubeoidcproxy.auth import base64url
from kubeoidcproxy.auth.strictjson import parse_object

# What kube-apiserver accepts with --authentication-config, in the order of its error text.
ALGORITHMS = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_SHAPE = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
# crit and b64 change what is signed (RFC 7515 section 4.1.11, RFC 7797); zip, enc and epk belong to encrypted tokens.
_REFUSED_PARAMETERS = ("crit", "b64", "zip", "enc", "epk")
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "PS256": hashes.SHA256(),
    "PS384": hashes.SHA384(),
    "PS512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class CompactToken:
    """A token that can be read in one way only. Nothing in it is proven yet.

    :param text: the token as received.
    :param alg: its header's ``alg``, any string ("" where it has none).
    :param kid: its header's ``kid``, None where it has none.
    :param payload: the bytes that the signature covers as the second part.
    """

    text: bytes = field(repr=False)
    alg: str
    kid: str | None
    payload: bytes = field(repr=False)


def read_token(token: bytes) -> CompactToken:
    """Read the shape and the header of a token; ValueError for what is not exactly a compact JWS."""
    parts = _SHAPE.fullmatch(token)
    if parts is None:
        raise ValueError("not three base64url parts")
    header = parse_object(base64url.decode(parts[1]))
    payload = base64url.decode(parts[2])
    base64url.decode(parts[3])
    for name in _REFUSED_PARAMETERS:
        if name in header:
            raise ValueError(f"header parameter {name} is not accepted")
    return CompactToken(token, _text(header, "alg", ""), _text(header, "kid", None), payload)


def _text(header: dict[str, Any], name: str, default: Any) -> Any:
    value = header.get(name, default)
    if name in header and not isinstance(value, str):
        raise ValueError(f"header parameter {name} is not a string")
    return value


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key bound to one algorithm: a key that could serve two is two of these."""

    alg: str
    key: Key = field(repr=False)

    def verifies(self, token: CompactToken) -> bool:
        """Whether this key, with this algorithm, signed exactly the token's bytes."""
        try:
            signed = jws.verify(token.text.decode("ascii"), self.key, [self.alg])
        except Exception:  # python-jose raises half a dozen kinds; whatever it is, the signature is not good
            return False
        return signed == token.payload


def verification_key(public_key: PublicKey, alg: str) -> VerificationKey:
    """Prepare a public key for one of :data:`ALGORITHMS` that fits its type."""
    key = jwk.construct(public_key, alg)  # type: ignore[arg-type]  # the stub does not know of key objects
    # Where `cryptography` cannot be imported, python-jose falls back to pure Python without a word.
    if type(key).__module__ not in ("jose.backends.cryptography_backend", __name__):
        raise RuntimeError("python-jose does not use the cryptography library")
    return VerificationKey(alg, key)


class _PSSKey(Key):
    """RSASSA-PSS, which python-jose lacks. Salt as long as the hash: RFC 7518 section 3.5."""

    def __init__(self, key: rsa.RSAPublicKey, algorithm: str) -> None:
        self._key = key
        self._hash = _HASHES[algorithm]
        self._padding = padding.PSS(padding.MGF1(self._hash), padding.PSS.DIGEST_LENGTH)

    def verify(self, msg: bytes, sig: bytes) -> bool:
        """Implement Key.verify."""
        try:
            self._key.verify(sig, msg, self._padding, self._hash)
        except InvalidSignature:
            return False
        return True


for _algorithm in _HASHES:
    jwk.register_key(_algorithm, _PSSKey)
