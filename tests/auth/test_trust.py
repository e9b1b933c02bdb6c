"""Configuration to trust."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kubeoidcproxy.auth.jws import ALGORITHMS
from kubeoidcproxy.auth.trust import KeptIn, PublishedAt, accepted_issuers
from kubeoidcproxy.config.authentication import (
    ClaimMappings,
    ClaimRule,
    ExtraMapping,
    Issuer,
    JWTAuthenticator,
    Mapping,
    PrefixedMapping,
    StaticIssuer,
    UserRule,
)
from kubeoidcproxy.config.issuers import ReservedIdentity
from kubeoidcproxy.identity import UserInfo

SUB = ClaimMappings(PrefixedMapping("sub", "p:"))
PUBLISHED = JWTAuthenticator(Issuer("https://a/", audiences=("kube",)), SUB)
STATIC = StaticIssuer("urn:b", ("kube",), SUB, certificate_file=Path("b.crt"))


def test_published() -> None:
    """All nine algorithms; keys where discovery says."""
    mappings = ClaimMappings(PrefixedMapping("sub", "p:"), PrefixedMapping("groups", "g:"), Mapping("oid"))
    config = replace(PUBLISHED, claim_mappings=mappings, claim_validation_rules=(ClaimRule("hd", "x"),))
    (accepted,) = accepted_issuers([config])
    assert accepted.origin == PublishedAt("https://a/", "https://a/.well-known/openid-configuration", None)
    assert accepted.trust.algorithms == ALGORITHMS
    user = accepted.trust.mapping.user({"sub": "s", "groups": "b", "oid": "1", "hd": "x"})
    assert user == UserInfo("p:s", ("g:b",), "1")


@pytest.mark.parametrize(
    ("field", "form"),
    [("certificate_file", "certificates"), ("public_key_file", "public keys"), ("jwks_file", "JWKS")],
)
def test_static(field: str, form: str) -> None:
    file = Path("keys")
    config = replace(STATIC, certificate_file=None, max_token_age=600.0, signing_algorithms=("RS256", "ES256"))
    (accepted,) = accepted_issuers([], [replace(config, **{field: file})], credential_id=True)
    assert accepted.origin == KeptIn("urn:b", file, form)  # type: ignore[arg-type]
    assert (accepted.trust.max_age, accepted.trust.algorithms) == (600.0, ("ES256", "RS256"))
    assert accepted.trust.credential_id


def test_reserved_names_are_of_one_issuer() -> None:
    reserved = [
        ReservedIdentity(issuer="urn:b", users=("system:a",)),
        ReservedIdentity(issuer="urn:b", groups=("system:b",)),
    ]
    published, static = accepted_issuers([PUBLISHED], [STATIC], reserved)
    assert published.trust.allowed_names.users == frozenset()
    assert static.trust.allowed_names.users == {"system:a"}
    assert static.trust.allowed_names.groups == {"system:b"}


def test_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        accepted_issuers([PUBLISHED, PUBLISHED])


@pytest.mark.parametrize(
    "config",
    [
        replace(PUBLISHED, user_validation_rules=(UserRule("true"),)),
        replace(PUBLISHED, claim_validation_rules=(ClaimRule(expression="true"),)),
        replace(PUBLISHED, claim_mappings=ClaimMappings(PrefixedMapping(expression="claims.sub"))),
        replace(PUBLISHED, claim_mappings=replace(SUB, groups=PrefixedMapping(expression="claims.a"))),
        replace(PUBLISHED, claim_mappings=replace(SUB, uid=Mapping(expression="claims.a"))),
        replace(PUBLISHED, claim_mappings=replace(SUB, extra=(ExtraMapping("a.b/c", "claims.a"),))),
    ],
)
def test_expressions_are_not_ignored(config: JWTAuthenticator) -> None:
    """A rule that cannot be kept is an error, never a rule left out."""
    with pytest.raises(ValueError, match="not supported yet"):
        accepted_issuers([config])
