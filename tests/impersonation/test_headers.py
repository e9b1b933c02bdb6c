"""The outgoing block, as kube-apiserver reads it."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.identity import UserInfo
from kubeoidcproxy.impersonation.headers import encode_key, outgoing


def test_all_attributes_in_order() -> None:
    user = UserInfo("alice", ("dev", "ops"), "u-1", (("example.org/team", ("a", "b")), ("scopes", ("x",))))
    assert outgoing(user) == (
        b"Impersonate-User: alice\r\n"
        b"Impersonate-Group: dev\r\n"
        b"Impersonate-Group: ops\r\n"
        b"Impersonate-Group: system:authenticated\r\n"
        b"Impersonate-Uid: u-1\r\n"
        b"Impersonate-Extra-example.org%2Fteam: a\r\n"
        b"Impersonate-Extra-example.org%2Fteam: b\r\n"
        b"Impersonate-Extra-scopes: x\r\n"
    )


def test_system_authenticated_comes_once_and_last() -> None:
    block = outgoing(UserInfo("a", ("system:authenticated", "dev", "system:authenticated")))
    assert block.endswith(b"Impersonate-Group: dev\r\nImpersonate-Group: system:authenticated\r\n")
    assert block.count(b"system:authenticated") == 1


def test_nobody_is_not_impersonated() -> None:
    """Law 1: an empty Impersonate-User runs as the proxy itself."""
    with pytest.raises(ValueError, match="nobody"):
        outgoing(UserInfo(""))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_a_key_comes_back_as_it_was(key: str) -> None:
    """kube lower-cases the header's name, then decodes it."""
    encoded = encode_key(key).decode("ascii")
    assert unquote(encoded.lower()) == key
    assert all(c.isalnum() or c in "%.-" for c in encoded)
