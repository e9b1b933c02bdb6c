"""Which key may verify what."""

from __future__ import annotations

import pytest
from auth.jwt_gen import RING

from kubeoidcproxy.auth.keyset import KeySet, PublishedKey, UnusableKeys, algorithms_for, published_key


def key(name: str, kid: str | None = None, alg: str | None = None) -> PublishedKey:
    return published_key(RING[name].public_key(), kid, alg)


def test_by_kid_and_algorithm() -> None:
    keys = KeySet((key("rsa1", "a"), key("ec256", "b")))
    assert [found.alg for found in keys.candidates("a", "PS384")] == ["PS384"]
    assert keys.candidates("a", "ES256") == keys.candidates("b", "RS256") == keys.candidates("c", "RS256") == ()


def test_without_kid_all_that_fit() -> None:
    keys = KeySet((key("rsa1", "a"), key("other1", "b"), key("ec256", "c")))
    assert len(keys.candidates(None, "RS256")) == 2
    assert not keys.knows(None)


def test_a_name_for_two_keys() -> None:
    """Two keys of one algorithm under one name: neither. Of two algorithms: each its own. The same key twice: once."""
    ambiguous = KeySet((key("rsa1", "a"), key("evil", "a"), key("ec256", "a"), key("ec256", "a")))
    assert ambiguous.candidates("a", "RS256") == ()
    assert len(ambiguous.candidates("a", "ES256")) == 1
    assert ambiguous.knows("a")


def test_keys_without_names() -> None:
    """A token with a kid is not for a published key without one; for a key out of PEM a kid says nothing."""
    assert KeySet((key("rsa1"),)).candidates("a", "RS256") == ()
    pem = KeySet((key("rsa1"),), binds_kid=False)
    assert len(pem.candidates("a", "RS256")) == 1
    assert pem.knows("anything")


def test_few_are_tried() -> None:
    """A token without kid cannot make us compute through a long list."""
    published = [PublishedKey(str(n), ("RS256",), bytes([n]), key("rsa1").verifiers) for n in range(50)]
    assert len(KeySet(tuple(published)).candidates(None, "RS256")) == 8


def test_equality() -> None:
    """Sets are equal when they verify the same tokens, whatever was left out."""
    one = KeySet((key("rsa1", "a"),), left_out=("x",))
    assert one == KeySet((key("rsa1", "a"),))
    assert one != KeySet((key("rsa1", "b"),))
    assert one != KeySet((key("other1", "a"),))
    assert one != KeySet((key("rsa1", "a", "RS256"),))


def test_the_type_decides() -> None:
    assert algorithms_for(RING["ec384"].public_key()) == ("ES384",)
    for name in ("rsa1024", "eck1", "ed1"):
        with pytest.raises(UnusableKeys):
            algorithms_for(RING[name].public_key())
