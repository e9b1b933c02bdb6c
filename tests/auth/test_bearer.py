"""Policy P9: exactly one ``Authorization: Bearer <token>``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.auth.bearer import find_bearer
from kubeoidcproxy.errors import Rejection


def refused(*values: bytes) -> Rejection:
    with pytest.raises(Rejection) as caught:
        find_bearer([(b"host", b"a"), *((b"authorization", value) for value in values)])
    return caught.value


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
def test_found(scheme: bytes) -> None:
    """Among other fields, whatever the case of the scheme."""
    fields = [(b"host", b"a"), (b"authorization", scheme + b" a.b-c_d~e+f/g=="), (b"accept", b"*/*")]
    assert find_bearer(fields) == b"a.b-c_d~e+f/g=="


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer  a",
        b"Bearer\ta",
        b" Bearer a",
        b"Bearer a ",
        b"Bearer a b",
        b"Bearer a\n",
        b"Bearer =",
        b"Bearer a=b",
        b'Bearer "a"',
        b"Bearer \xe9",
        b"Bearera",
        b"Basic YTpi",
        b'Digest username="a", realm="b"',
        b"",
    ],
)
def test_malformed_or_another_scheme(value: bytes) -> None:
    """401, and the client is told nothing of what it sent."""
    rejection = refused(value)
    assert rejection.status == 401
    assert rejection.message.startswith("Unauthorized: ")
    assert not rejection.close


def test_absent() -> None:
    """401; Proxy-Authorization and cookies are no credentials here."""
    with pytest.raises(Rejection) as caught:
        find_bearer([(b"proxy-authorization", b"Bearer a"), (b"cookie", b"token=a")])
    assert caught.value.status == 401
    assert caught.value.message == "Unauthorized: no bearer token"


@pytest.mark.parametrize(
    "values",
    [
        (b"Bearer a", b"Bearer a"),
        (b"Bearer a", b"Basic YTpi"),
        (b"Basic YTpi", b"Bearer a"),
        (b"", b""),
        (b"Bearer a, Bearer b",),
        (b"Bearer a,Bearer b",),
        (b"Bearer a,b",),
        (b"Basic YTpi, Bearer a",),
        (b"Basic YTpi,Bearer",),
    ],
)
def test_two_credentials(values: tuple[bytes, ...]) -> None:
    """400, and the connection ends: two readers could take two callers out of it."""
    rejection = refused(*values)
    assert rejection.status == 400
    assert rejection.close


@given(st.lists(st.binary(max_size=40), max_size=2))
def test_any_bytes(values: list[bytes]) -> None:
    """A token or a rejection, nothing else."""
    with contextlib.suppress(Rejection):
        token = find_bearer((b"authorization", value) for value in values)
        assert values[0].lower() == b"bearer " + token.lower()
