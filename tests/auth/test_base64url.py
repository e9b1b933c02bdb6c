"""One spelling for one value."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.auth import base64url


@given(st.binary(max_size=100))
def test_round_trip(data: bytes) -> None:
    assert base64url.decode(base64.urlsafe_b64encode(data).rstrip(b"=")) == data


@given(st.text(alphabet="ABCZabcz019-_=+/ \n", max_size=12))
def test_only_the_canonical_spelling(text: str) -> None:
    """Whatever decodes, encodes to the very same text."""
    try:
        data = base64url.decode(text.encode())
    except ValueError:
        return
    assert base64.urlsafe_b64encode(data).rstrip(b"=") == text.encode()


@pytest.mark.parametrize("text", [b"A", b"AB", b"AAB", b"AA==", b"AA=", b"A A", b"A+", b"A/", b"\xff\xff", b"AAAA\n"])
def test_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(text)
