"""Issuers that sign for everybody: whoever has an account there gets a token with *our* audience.

The audience is chosen by who asks for the token, so only a rule on the owner's claim keeps strangers out
(reference: GitHub, GitLab, Buildkite documentation of their OIDC tokens).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from kubeoidcproxy.config.authentication import ClaimRule, UserRule

_REPOSITORY: Final = ("repository_owner", "repository_owner_id", "repository", "repository_id")
SHARED_ISSUERS: Final[dict[str, tuple[str, ...]]] = {
    "https://token.actions.githubusercontent.com": (*_REPOSITORY, "enterprise", "enterprise_id"),
    "https://gitlab.com": ("namespace_id", "namespace_path", "project_id", "project_path"),
    "https://agent.buildkite.com": ("organization_id", "organization_slug", "pipeline_id"),
    "https://codeberg.org/api/actions": _REPOSITORY,
    "https://app.terraform.io": ("terraform_organization_id", "terraform_organization_name"),
    "https://accounts.google.com": ("hd",),
    "accounts.google.com": ("hd",),
}


def owner_claims(issuer: str) -> tuple[str, ...]:
    """The claims that say whose token it is; none where the issuer serves one owner only."""
    return SHARED_ISSUERS.get(issuer.rstrip("/"), ())


def is_bound(claims: Iterable[str], claim_rules: Iterable[ClaimRule], user_rules: Iterable[UserRule]) -> bool:
    """Does some rule look at one of these claims? What an expression does with it is not judged."""
    required = {rule.claim for rule in claim_rules if rule.required_value}
    expressions = [rule.expression for rule in claim_rules] + [rule.expression for rule in user_rules]
    return any(
        claim in required or any(re.search(rf"\b{claim}\b", expression) for expression in expressions)
        for claim in claims
    )
