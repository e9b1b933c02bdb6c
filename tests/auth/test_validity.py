"""exp without leeway, nbf with a minute, iat only for maxTokenAge."""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.auth.claims import read_claims
from kubeoidcproxy.auth.validity import check_age, check_times
from kubeoidcproxy.errors import Rejection

NOW = 1_767_225_600.0


def times(**members: Any) -> str:
    """ "" where the token is valid at NOW, else the reason in the log."""
    try:
        check_times(read_claims(members), NOW)
    except Rejection as rejection:
        return rejection.detail.removeprefix("oidc: verify token: oidc: ")
    return ""


def age(longest: float, **members: Any) -> str:
    try:
        check_age(read_claims(members), longest, NOW)
    except Rejection as rejection:
        return rejection.message
    return ""


def test_exp() -> None:
    """The second of exp is the last one."""
    assert times(exp=NOW) == ""
    assert times(exp=NOW - 1) == "token is expired (Token Expiry: 2025-12-31 23:59:59 +0000 UTC)"
    assert times() == "token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)"


@pytest.mark.parametrize("exp", [0, -1, -(10**30), 2**63 - 1, 10**30, 1e300])
def test_exp_out_of_this_world(exp: float) -> None:
    """What overflows Go's time is long past there, so here as well."""
    assert times(exp=exp).startswith("token is expired")


def test_exp_far_ahead() -> None:
    assert times(exp=10**18) == ""


def test_nbf() -> None:
    assert times(exp=NOW + 900, nbf=NOW + 60) == ""
    assert times(exp=NOW + 900, nbf=-(10**30)) == ""
    expected = (
        "current time 2026-01-01 00:00:00 +0000 UTC before the nbf (not before) time: 2026-01-01 00:01:01 +0000 UTC"
    )
    assert times(exp=NOW + 900, nbf=NOW + 61) == expected
    assert times(exp=NOW + 900, nbf=10**30).startswith("current time")


def test_age() -> None:
    """From iat, else nbf, to exp; one of the two must be there, and not lie ahead."""
    assert age(600, iat=NOW, exp=NOW + 600) == ""
    assert age(600, nbf=NOW - 10, exp=NOW + 590) == ""
    assert "lives too long" in age(600, iat=NOW, nbf=NOW + 60, exp=NOW + 601)
    assert "no issue time" in age(600, exp=NOW + 1)
    assert "not valid yet" in age(600, iat=NOW + 61, exp=NOW + 100)
    assert "lives too long" in age(600, iat=-(10**4000), exp=NOW + 1)
