"""A JWKS document (RFC 7517) to a :class:`~kubeoidcproxy.auth.keyset.KeySet`.

A key that cannot be used is left out and the others stay: kube-apiserver refuses the whole set for one unknown key
type, which locks everybody out the day an issuer publishes one.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kubeoidcproxy.auth import base64url
from kubeoidcproxy.auth.jws import PublicKey
from kubeoidcproxy.auth.keyset import MAX_KEYS, KeySet, PublishedKey, UnusableKeys, check_rsa, published_key
from kubeoidcproxy.auth.refusals import quoted
from kubeoidcproxy.auth.strictjson import parse_object

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
# RFC 7518 sections 6.2.2, 6.3.2, 6.4: members of private and symmetric keys. Whoever read the document can sign with
# such a key, so it proves nothing.
_SECRET_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


def parse_jwks(document: bytes) -> KeySet:
    """The usable keys of a JWK Set; UnusableKeys if there is none."""
    try:
        entries = parse_object(document).get("keys")
    except ValueError as error:
        raise UnusableKeys(f"not a JWK Set: {error}") from None
    if not isinstance(entries, list):
        raise UnusableKeys("not a JWK Set: no list of keys")
    key_set = _key_set(entries)
    if not key_set.keys:
        raise UnusableKeys("; ".join(("no usable key in the JWK Set", *key_set.left_out[:5])))
    return key_set


def _key_set(entries: list[Any]) -> KeySet:
    keys: list[PublishedKey] = []
    left_out: list[str] = []
    for number, entry in enumerate(entries[:MAX_KEYS]):
        try:
            keys.append(_published(entry))
        except ValueError as error:  # of cryptography, too: a point off its curve, for one
            left_out.append(f"key {number}: {error}")
    if len(entries) > MAX_KEYS:
        left_out.append(f"keys {MAX_KEYS} to {len(entries) - 1}: too many")
    return KeySet(tuple(keys), left_out=tuple(left_out))


def _published(entry: Any) -> PublishedKey:
    if not isinstance(entry, dict):
        raise UnusableKeys("not an object")
    _check_purpose(entry)
    kid, alg = _optional_text(entry, "kid"), _optional_text(entry, "alg")
    return published_key(_public_key(entry), kid, alg)


def _check_purpose(entry: dict[str, Any]) -> None:
    if not _SECRET_MEMBERS.isdisjoint(entry):
        raise UnusableKeys("it holds a secret")
    if entry.get("use", "sig") != "sig":
        raise UnusableKeys("its use is not sig")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeys("its key_ops lack verify")


def _public_key(entry: dict[str, Any]) -> PublicKey:
    kind = entry.get("kty")
    if kind == "RSA":
        modulus, exponent = _integer(entry, "n"), _integer(entry, "e")
        check_rsa(modulus, exponent)  # before the library: its own checks of an overlong number take seconds
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if kind == "EC":
        return _point(entry).public_key()
    raise UnusableKeys(f"its kty is {quoted(str(kind))}")


def _point(entry: dict[str, Any]) -> ec.EllipticCurvePublicNumbers:
    curve = _CURVES.get(str(entry.get("crv")))
    if curve is None:
        raise UnusableKeys(f"its curve is {quoted(str(entry.get('crv')))}")
    size = (curve.key_size + 7) // 8  # RFC 7518 section 6.2.1.2: the length is that of the field, always
    return ec.EllipticCurvePublicNumbers(_integer(entry, "x", size), _integer(entry, "y", size), curve)


def _integer(entry: dict[str, Any], name: str, size: int | None = None) -> int:
    text = entry.get(name)
    if not isinstance(text, str) or not text:
        raise UnusableKeys(f"its {name} is missing")
    number = base64url.decode(text.encode("utf-8", "replace"))
    if size is not None and len(number) != size:
        raise UnusableKeys(f"its {name} has the wrong length")
    return int.from_bytes(number, "big")


def _optional_text(entry: dict[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if name in entry and not isinstance(value, str):
        raise UnusableKeys(f"its {name} is not a string")
    return value
