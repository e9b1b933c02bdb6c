"""Compact tokens: read in one way only, verified by one key with one algorithm."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from auth.jwt_gen import RING, b64, sign
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeoidcproxy.auth.jws import ALGORITHMS, read_token, verification_key

KEYS = {"RS": "rsa1", "PS": "rsa1", "ES256": "ec256", "ES384": "ec384", "ES512": "ec521"}


def key_for(alg: str) -> str:
    return KEYS.get(alg) or KEYS[alg[:2]]


def signed(alg: str, payload: bytes = b"{}", **header: Any) -> bytes:
    text = f"{b64(json.dumps({'alg': alg, **header}).encode())}.{b64(payload)}"
    return f"{text}.{b64(sign(text.encode(), key_for(alg), alg))}".encode()


def test_reads() -> None:
    token = read_token(signed("RS256", b'{"a":1}', kid="k", typ="JWT", x5u="https://evil.example"))
    assert (token.alg, token.kid, token.payload) == ("RS256", "k", b'{"a":1}')
    assert "eyJ" not in repr(token)


@pytest.mark.parametrize("header", [{}, {"alg": "none"}, {"alg": ""}])
def test_another_alg_is_still_a_token(header: dict[str, str]) -> None:
    """Which algorithms count, the issuer's trust says."""
    text = f"{b64(json.dumps(header).encode())}.{b64(b'{}')}.AAAA"
    assert read_token(text.encode()).alg == header.get("alg", "")


@pytest.mark.parametrize("name", ["crit", "b64", "zip", "enc", "epk"])
def test_header_parameters_that_change_the_meaning(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        read_token(signed("RS256", **{name: []}))


@pytest.mark.parametrize("value", [None, 1, ["rsa1"], {}, True])
def test_kid_is_a_string(value: object) -> None:
    with pytest.raises(ValueError, match="kid"):
        read_token(signed("RS256", kid=value))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_verifies(alg: str) -> None:
    """Each of the nine, by its own key and by no other algorithm of it."""
    token = read_token(signed(alg))
    for other in ALGORITHMS:
        if alg[:2] == "ES" or other[:2] == "ES":
            continue
        assert verification_key(RING["rsa1"].public_key(), other).verifies(token) is (alg == other)
    assert verification_key(RING[key_for(alg)].public_key(), alg).verifies(token)


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256"])
def test_a_changed_bit(alg: str) -> None:
    key = verification_key(RING[key_for(alg)].public_key(), alg)
    header, _, signature = signed(alg).split(b".")
    assert not key.verifies(read_token(b".".join((header, b64(b'{"a":1}').encode(), signature))))
    assert not key.verifies(
        read_token(b".".join((header, b64(b"{}").encode(), (b"B" if signature[:1] == b"A" else b"A") + signature[1:])))
    )


@given(st.binary(max_size=100) | st.text(alphabet="eyJhbGciOiJ.AQgw_-=", max_size=60).map(str.encode))
@settings(max_examples=300)
def test_any_bytes(data: bytes) -> None:
    """A token or ValueError, nothing else."""
    with contextlib.suppress(ValueError):
        read_token(data)
