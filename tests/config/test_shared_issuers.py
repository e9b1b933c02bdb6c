from __future__ import annotations

import pytest

from kubeoidcproxy.config.authentication import ClaimRule, UserRule
from kubeoidcproxy.config.shared_issuers import is_bound, owner_claims


@pytest.mark.parametrize(
    "issuer",
    [
        "https://token.actions.githubusercontent.com",
        "https://gitlab.com",
        "https://gitlab.com/",
        "https://agent.buildkite.com",
    ],
)
def test_issuers_for_everybody(issuer: str) -> None:
    assert owner_claims(issuer)


@pytest.mark.parametrize(
    "issuer",
    [
        "https://token.actions.githubusercontent.com/our-enterprise",
        "https://gitlab.example.com",
        "https://oidc.circleci.com/org/0d3a",
        "urn:gitlab.com",
    ],
)
def test_issuers_of_one_owner(issuer: str) -> None:
    assert owner_claims(issuer) == ()


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        (ClaimRule("owner_id", "1"), True),
        (ClaimRule("owner_id"), False),
        (ClaimRule("ref", "refs/heads/main"), False),
        (ClaimRule(expression="claims.owner_id in ['1', '2']"), True),
        (ClaimRule(expression="claims.owner_id_of_another == '1'"), False),
    ],
)
def test_a_rule_on_the_owner(rule: ClaimRule, bound: bool) -> None:
    assert is_bound(["owner", "owner_id"], [rule], []) is bound


def test_a_rule_on_the_user_may_look_at_it_too() -> None:
    assert is_bound(["owner_id"], [], [UserRule("user.extra['a.test/owner_id'][0] == '1'")])
