"""Claims to a user, with kube's words. (``test_oracle_tokens.py`` has kube's own verdicts.)"""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.auth.mapping import (
    CREDENTIAL_ID,
    ClaimMapping,
    groups_claim,
    required_claim,
    uid_claim,
    username_claim,
)
from kubeoidcproxy.auth.refusals import unauthorized
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import UserInfo

SUB = username_claim("sub", "")


def detail_of(mapping: ClaimMapping, members: dict[str, Any]) -> str:
    with pytest.raises(Rejection) as caught:
        mapping.user(members)
    assert caught.value.status == 401
    assert "Unauthorized" in caught.value.message
    return caught.value.detail


def test_a_user() -> None:
    mapping = ClaimMapping(
        username_claim("sub", "oidc:"),
        groups_claim("groups", "oidc:"),
        uid_claim("oid"),
        (("example.org/a", lambda members: (members["a"],)), ("example.org/none", lambda _: ())),
        (required_claim("hd", "example.com"),),
    )
    members = {"sub": "alice", "groups": ["b", "a"], "oid": "1", "a": "x", "hd": "example.com", "jti": "j"}
    extra = ((CREDENTIAL_ID, ("JTI=j",)), ("example.org/a", ("x",)))
    assert mapping.user(members) == UserInfo("oidc:alice", ("oidc:b", "oidc:a"), "1", extra)


def test_mappings_come_before_rules() -> None:
    """The order in which kube finds faults, and rules see the whole user."""
    seen: list[UserInfo] = []

    def refuse(_: Any) -> None:
        raise unauthorized("no", "rule")

    mapping = ClaimMapping(SUB, claim_checks=(refuse,), user_checks=(seen.append,))
    assert "claim not present" in detail_of(mapping, {})
    assert detail_of(mapping, {"sub": "a"}) == "rule"
    assert not seen
    ClaimMapping(SUB, user_checks=(seen.append,)).user({"sub": "a"})
    assert seen == [UserInfo("a")]


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ({}, 'oidc: parse username claims "sub": claim not present'),
        ({"sub": 5}, 'oidc: parse username claims "sub": json: cannot unmarshal number into Go value of type string'),
        ({"sub": " alice"}, 'user name " alice" has blanks at its edges'),
    ],
)
def test_username(members: dict[str, Any], detail: str) -> None:
    assert detail_of(ClaimMapping(username_claim("sub", "oidc:")), members) == detail


@pytest.mark.parametrize("name", ["", None])
def test_an_empty_username_stays_empty(name: str | None) -> None:
    """The prefix alone would be a name that many could have; admission refuses the empty one."""
    assert ClaimMapping(username_claim("sub", "oidc:")).user({"sub": name}).username == ""


@pytest.mark.parametrize(
    ("verified", "detail"),
    [
        (False, "oidc: email not verified"),
        (None, "oidc: email not verified"),
        ("true", "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool"),
    ],
)
def test_email_must_not_be_unverified(verified: object, detail: str) -> None:
    mapping = ClaimMapping(username_claim("email", ""))
    assert detail_of(mapping, {"email": "a@example.com", "email_verified": verified}) == detail
    assert mapping.user({"email": "a@example.com"}).username == "a@example.com"
    assert ClaimMapping(SUB).user({"sub": "a", "email_verified": verified}).username == "a"


@pytest.mark.parametrize(("value", "groups"), [("a,b", ("p:a,b",)), ([], ()), (None, ()), (["", "b"], ("p:", "p:b"))])
def test_groups(value: object, groups: tuple[str, ...]) -> None:
    assert ClaimMapping(SUB, groups_claim("groups", "p:")).user({"sub": "a", "groups": value}).groups == groups


@pytest.mark.parametrize(("value", "kind"), [(5, "number"), (["a", None], "array"), ([["a"]], "array"), ({}, "object")])
def test_groups_of_another_kind(value: object, kind: str) -> None:
    """One element that is no string spoils all: half of somebody's groups is another user."""
    detail = detail_of(ClaimMapping(SUB, groups_claim("groups", "")), {"sub": "a", "groups": value})
    assert detail == f'oidc: parse groups claim "groups": json: cannot unmarshal {kind} into Go value of type string'


def test_distributed_groups() -> None:
    """Entra with more than 200 groups: refused with a reason a user can act on, and nothing is fetched."""
    mapping = ClaimMapping(SUB, groups_claim("groups", ""))
    elsewhere = {"sub": "a", "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}
    assert "could not expand distributed claims" in detail_of(mapping, elsewhere)
    assert mapping.user({**elsewhere, "groups": ["b"]}).groups == ("b",)
    assert mapping.user({**elsewhere, "_claim_names": {"other": "src1"}}).groups == ()
    assert ClaimMapping(SUB).user(elsewhere).groups == ()


def test_uid() -> None:
    mapping = ClaimMapping(SUB, uid=uid_claim("oid"))
    assert mapping.user({"sub": "a", "oid": None}).uid == ""
    assert detail_of(mapping, {"sub": "a"}) == 'oidc: parse uid claim "oid": claim not present'


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ({}, "oidc: required claim hd not present in ID token"),
        ({"hd": "x"}, "oidc: required claim hd value does not match. Got = x, want = example.com"),
        ({"hd": ["example.com"]}, "oidc: parse claim hd: json: cannot unmarshal array into Go value of type string"),
    ],
)
def test_required_claim(members: dict[str, Any], detail: str) -> None:
    mapping = ClaimMapping(SUB, claim_checks=(required_claim("hd", "example.com"),))
    assert detail_of(mapping, {"sub": "a", **members}) == detail


@pytest.mark.parametrize("jti", [5, "", None, []])
def test_no_credential_id(jti: object) -> None:
    assert ClaimMapping(SUB).user({"sub": "a", "jti": jti}).extra == ()
