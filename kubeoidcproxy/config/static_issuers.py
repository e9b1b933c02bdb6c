"""Issuers with fixed keys: judged by kube's rules where they are written in kube's form, and as frozen values."""

from __future__ import annotations

from typing import Any, Final

from kubeoidcproxy.config import kube_decode
from kubeoidcproxy.config.authentication import StaticIssuer
from kubeoidcproxy.config.expressions import ExpressionCheck
from kubeoidcproxy.config.issuers import StaticIssuerSection
from kubeoidcproxy.config.jwt_rules import JWTRules
from kubeoidcproxy.config.kube_errors import FieldError
from kubeoidcproxy.config.kube_shapes import CLAIM_MAPPINGS, CLAIM_RULES, USER_RULES, Shape
from kubeoidcproxy.config.problems import Location

_SHAPES: Final[dict[str, tuple[str, Shape]]] = {
    "claim_validation_rules": ("claimValidationRules", CLAIM_RULES),
    "claim_mappings": ("claimMappings", CLAIM_MAPPINGS),
    "user_validation_rules": ("userValidationRules", USER_RULES),
}


def static_issuer(section: StaticIssuerSection) -> StaticIssuer:
    """Of a section without errors."""
    return StaticIssuer(
        issuer=section.issuer,
        audiences=section.audiences,
        claim_mappings=kube_decode.claim_mappings(section.claim_mappings),
        claim_validation_rules=kube_decode.claim_rules(section.claim_validation_rules),
        user_validation_rules=kube_decode.user_rules(section.user_validation_rules),
        certificate_file=section.certificate_file,
        public_key_file=section.public_key_file,
        jwks_file=section.jwks_file,
        signing_algorithms=section.signing_algorithms,
        max_token_age=section.max_token_age,
    )


def static_issuer_errors(
    section: StaticIssuerSection, place: Location, check_expressions: ExpressionCheck | None
) -> list[FieldError]:
    """Of the parts in kube's form. What did not validate as a section (``section.judge``) is left out."""
    present: dict[str, Any] = {name: section.__dict__[name] for name in _SHAPES if name in section.__dict__}
    errors: list[FieldError] = []
    decodable = {}
    for name, value in present.items():
        key, shape = _SHAPES[name]
        mismatches = list(kube_decode.mismatches(value, shape, (*place, key), ()))
        errors += mismatches
        if all(map(kube_decode.is_strict, mismatches)):
            decodable[name] = value
    return errors + _rule_errors(decodable, place, check_expressions)


def _rule_errors(parts: dict[str, Any], place: Location, check: ExpressionCheck | None) -> list[FieldError]:
    rules = JWTRules(check)
    if "claim_validation_rules" in parts:
        claim_rules = kube_decode.claim_rules(parts["claim_validation_rules"])
        rules.judge_claim_rules(claim_rules, (*place, "claimValidationRules"))
    if "claim_mappings" in parts:
        rules.judge_claim_mappings(kube_decode.claim_mappings(parts["claim_mappings"]), (*place, "claimMappings"))
    if "user_validation_rules" in parts:
        user_rules = kube_decode.user_rules(parts["user_validation_rules"])
        rules.judge_user_rules(user_rules, (*place, "userValidationRules"))
    return rules.errors
