"""JWK Sets: what may verify, and what is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from auth.jwt_gen import RSA512, b64, i2b, jwk
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.keyset import MAX_KEYS, KeySet, UnusableKeys

GOOD = jwk("ec256")


def parsed(*keys: Any) -> KeySet:
    return parse_jwks(json.dumps({"keys": keys}).encode())


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (jwk("rsa1"), ("RS256",)),
        (jwk("rsa1", alg=None, use=None), ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (jwk("ec256", alg=None), ("ES256",)),
        (jwk("ec384", kid=None), ("ES384",)),
        (jwk("ec521", key_ops=["verify"]), ("ES512",)),
    ],
)
def test_usable(key: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    """Its own alg, or all that its type allows."""
    (published,) = parsed(key).keys
    assert published.algorithms == tuple(published.verifiers) == algorithms
    assert published.kid == key.get("kid")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (jwk("rsa1024"), "1024 bits"),
        ({"kty": "RSA", "kid": "a", "n": b64(i2b(RSA512[0])), "e": "AQAB"}, "512 bits"),
        (jwk("rsa1", e="AQ"), "exponent"),
        (jwk("rsa1", e=b64(i2b(65536))), "exponent"),
        (jwk("rsa1", e=b64(i2b(2**31 + 1))), "exponent"),
        (jwk("rsa1", n=b64(b"\xff" * 2048)), "16384 bits"),
        (jwk("rsa1", n=None), "its n is missing"),
        (jwk("rsa1", n=5), "its n is missing"),
        (jwk("rsa1", e="AQAB="), "base64url"),
        (jwk("rsa1", alg="ES256"), "alg"),
        (jwk("rsa1", alg="RSA-OAEP"), "alg"),
        (jwk("rsa1", alg="HS256"), "alg"),
        (jwk("rsa1", use="enc"), "use"),
        (jwk("rsa1", key_ops=["sign"]), "key_ops"),
        (jwk("rsa1", key_ops="verify"), "key_ops"),
        (jwk("rsa1", d="AQAB"), "secret"),
        (jwk("rsa1", kid=1), "kid"),
        (jwk("rsa1", kty="rsa"), "kty"),
        ({"kty": "oct", "k": "AAAA"}, "secret"),
        (jwk("ed1"), "kty"),
        (jwk("eck1"), "curve"),
        (jwk("ec256", crv="P-384"), "length"),
        (jwk("ec256", x=b64(b"\1" * 32)), "curve"),
        ("key", "not an object"),
        (None, "not an object"),
    ],
)
def test_left_out(key: Any, why: str) -> None:
    """A key that cannot be used is left out, with the reason, and the others stay."""
    keys = parsed(key, GOOD)
    assert [key.kid for key in keys.keys] == ["ec256"]
    assert why in keys.left_out[0]
    with pytest.raises(UnusableKeys, match="no usable key"):
        parsed(key)


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":null}', b"<html>", b'{"keys":[]}'])
def test_no_set(document: bytes) -> None:
    with pytest.raises(UnusableKeys):
        parse_jwks(document)


def test_too_many() -> None:
    """The first 64 count: a set of a thousand must not cost a second at every fetch."""
    keys = parsed(*[jwk("ec256", kid=f"k{number}") for number in range(1000)])
    assert len(keys.keys) == MAX_KEYS
    assert "too many" in keys.left_out[0]


def test_no_key_material_in_the_reasons() -> None:
    """Law 10."""
    keys = parsed(jwk("rsa1", d="c2VjcmV0"), jwk("rsa1", kty="\n" * 300), GOOD)
    assert "c2VjcmV0" not in str(keys.left_out)
    assert all(reason.isprintable() and len(reason) < 500 for reason in keys.left_out)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(GOOD)), inner, max_size=6),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "n", "e", "key_ops"]), JSON), st.sampled_from(["RSA", "EC", "oct"]))
def test_any_members(members: dict[str, Any], kty: str) -> None:
    """Whatever a key says, it is used or left out."""
    assert parsed({**members, "kty": kty}, GOOD).keys
