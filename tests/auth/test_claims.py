"""Registered claims, with kube's words for what is wrong. (The corpora have the many cases.)"""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.auth.claims import Claims, check_audience, issuer_of, json_kind, read_claims
from kubeoidcproxy.errors import Rejection

GOOD = {"iss": "https://i", "aud": "kube", "sub": "s", "exp": 2000.9, "nbf": 5, "iat": 1, "jti": "j"}


def detail_of(members: dict[str, Any]) -> str:
    with pytest.raises(Rejection) as caught:
        read_claims(members)
    assert caught.value.status == 401
    return caught.value.detail.removeprefix("oidc: verify token: oidc: ")


def test_read() -> None:
    """Fractions of seconds are cut off, as in Go."""
    assert read_claims(GOOD) == Claims(GOOD, ("kube",), "s", "j", 2000, 5, 1)
    assert read_claims({}) == Claims({}, (), "", "", None, None, None)


@pytest.mark.parametrize(
    ("member", "value", "text"),
    [
        ("aud", 5, "json: cannot unmarshal number into Go struct field idToken.aud of type []string"),
        ("aud", ["a", {}], "json: cannot unmarshal object into Go struct field idToken.aud of type []string"),
        ("exp", True, "json: cannot unmarshal bool into Go struct field idToken.exp of type json.Number"),
        ("exp", None, "json: cannot unmarshal null into Go struct field idToken.exp of type json.Number"),
        ("nbf", "5", "json: cannot unmarshal string into Go struct field idToken.nbf of type json.Number"),
        ("iat", [], "json: cannot unmarshal array into Go struct field idToken.iat of type json.Number"),
        ("sub", 5, "json: cannot unmarshal number into Go struct field idToken.sub of type string"),
        ("nonce", 5, "json: cannot unmarshal number into Go struct field idToken.nonce of type string"),
        ("exp", 1e400, "exp: value out of range"),
    ],
)
def test_wrong_types(member: str, value: object, text: str) -> None:
    assert detail_of({**GOOD, member: value}) == f"failed to unmarshal claims: {text}"


def test_null_is_absent_where_go_says_so() -> None:
    claims = read_claims({"aud": ["a", None], "nbf": None, "sub": None, "jti": 5})
    assert (claims.audiences, claims.not_before, claims.subject, claims.token_id) == (("a", ""), None, "", "")


@pytest.mark.parametrize("number", [10**400, 10**4000, -(10**4000), 1e300])
def test_huge_numbers(number: float) -> None:
    """They are numbers of 64 bits to everything behind."""
    assert abs(read_claims({"exp": number}).expires_at or 0) <= 2**63


@pytest.mark.parametrize("name", ["ISS", "Aud", "eXp", "_CLAIM_NAMES"])
def test_registered_names_in_another_case(name: str) -> None:
    assert "another case" in detail_of({**GOOD, name: "x"})


def test_distributed_claims_are_checked() -> None:
    assert "source does not exist" in detail_of({**GOOD, "_claim_names": {"groups": "s"}})
    assert "map[string]string" in detail_of({**GOOD, "_claim_names": []})
    read_claims({**GOOD, "_claim_names": {"groups": "s"}, "_claim_sources": {"s": {}}})


def test_audience() -> None:
    check_audience(read_claims({"aud": ["x", "kube"]}), ("kubectl", "kube"))
    with pytest.raises(Rejection) as caught:
        check_audience(read_claims({"aud": "x"}), ("a", "b"))
    assert caught.value.detail.endswith('oidc: expected audience in ["a" "b"] got ["x"]')
    assert "x" not in caught.value.message


def test_issuer() -> None:
    """Google's name without a scheme is the one exception."""
    assert issuer_of({"iss": "accounts.google.com"}) == "https://accounts.google.com"
    assert issuer_of({"iss": "https://i/"}) == "https://i/"
    assert issuer_of({"iss": ["https://i"]}) is issuer_of({}) is None


def test_kinds() -> None:
    values = [True, "", 1, 1.5, [], {}, None]
    assert [json_kind(value) for value in values] == ["bool", "string", "number", "number", "array", "object", "null"]
