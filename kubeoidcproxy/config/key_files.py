"""PEM and JWK files that the configuration names: is in them what should be?

The keys are only looked at here, never kept: who verifies tokens reads the files again, and on every change.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from kubeoidcproxy.config.pem import Block, blocks, certificate_fault, certificate_key, public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

PUBLIC_KEY_LABELS: Final = ("PUBLIC KEY", "RSA PUBLIC KEY")
# policy.md, tokens: shorter keys are weak, longer ones cost the verifier more than the caller.
RSA_BITS: Final = range(2048, 8192 + 1)
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVE_ALGORITHMS: Final = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


def certificate_file_fault(data: bytes, algorithms: Collection[str] | None = None) -> str | None:
    """:param algorithms: what the issuer may sign with; None: whatever fits."""
    found = [block for block in blocks(_text(data)) if block.label == "CERTIFICATE"]
    return _first_fault(found, algorithms) if found else "holds no certificate (PEM)"


def public_key_file_fault(data: bytes, algorithms: Collection[str] | None = None) -> str | None:
    found = [block for block in blocks(_text(data)) if block.label in PUBLIC_KEY_LABELS]
    return _first_fault(found, algorithms) if found else "holds no public key (PEM)"


def ca_file_fault(data: bytes) -> str | None:
    return certificate_fault(_text(data))


def jwks_file_fault(data: bytes) -> str | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "is no JSON"
    keys = value.get("keys") if isinstance(value, dict) else None
    return None if isinstance(keys, list) and keys and all(isinstance(key, dict) for key in keys) else "is no JWK Set"


def fitting_algorithms(key: PublicKeyTypes) -> tuple[str, ...]:
    """The signing algorithms that the key's own type allows (law 5). :raises ValueError: the key may not be used."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(key, RSAPublicKey):
        if key.key_size not in RSA_BITS:
            raise ValueError(f"an RSA key of {key.key_size} bits: must have 2048 to 8192")
        return _RSA_ALGORITHMS
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVE_ALGORITHMS:
        return _CURVE_ALGORITHMS[key.curve.name]
    raise ValueError("must be an RSA key or one on P-256, P-384 or P-521")


def _first_fault(found: list[Block], algorithms: Collection[str] | None) -> str | None:
    for block in found:
        try:
            key = certificate_key(block) if block.label == "CERTIFICATE" else public_key(block)
        except ValueError:
            return f"line {block.line}: cannot be read"
        try:
            fitting = fitting_algorithms(key)
        except ValueError as error:
            return f"line {block.line}: {error}"
        if algorithms is not None and not set(algorithms) & set(fitting):
            return f"line {block.line}: none of {', '.join(algorithms)} fits this key ({', '.join(fitting)})"
    return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
