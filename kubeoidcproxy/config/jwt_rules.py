"""Kube's rules for claim mappings, claim rules and user rules, in kube's order and words.

k8s.io/apiserver ``pkg/apis/apiserver/validation/validation.go``: ``validateClaimValidationRules``,
``validateClaimMappings``, ``validateUserValidationRules``.  The static issuers of our own file follow them as well.
"""

from __future__ import annotations

from typing import Final

from kubeoidcproxy.config.authentication import (
    ClaimMappings,
    ClaimRule,
    ExtraMapping,
    Mapping,
    PrefixedMapping,
    UserRule,
)
from kubeoidcproxy.config.expressions import ExpressionCheck, ExpressionUse, ExpressionVerdict
from kubeoidcproxy.config.extra_keys import key_errors
from kubeoidcproxy.config.kube_errors import FieldError, duplicate, invalid, required
from kubeoidcproxy.config.problems import Location, without_indices

NOT_BOTH: Final = "claim and expression can't both be set"
ONE_OF_BOTH: Final = "claim or expression is required"
NOT_WITH_CLAIM: Final = "may not be specified when claim is set"
NOT_WITH_EXPRESSION: Final = "may not be specified when expression is set"
PREFIX_REQUIRED: Final = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
EMAIL_VERIFIED: Final = (
    "claims.email_verified must be used in claimMappings.username.expression or"
    " claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in"
    " claimMappings.username.expression"
)
# What a rejected or unjudged expression counts as: it verifies nothing (kube looks at compiled ones only).
_NOTHING: Final = ExpressionVerdict()


class JWTRules:
    """The rules of one authenticator.  Call in kube's order: claim rules, claim mappings, user rules.

    :param check: judges an expression; None where this version cannot serve any.
    """

    def __init__(self, check: ExpressionCheck | None) -> None:
        self.errors: list[FieldError] = []
        self._check = check
        self._email_is_verified = False

    def judge_claim_rules(self, rules: tuple[ClaimRule, ...], location: Location) -> None:
        claims: set[str] = set()
        expressions: set[str] = set()
        for index, rule in enumerate(rules):
            place = (*location, index)
            if rule.claim and rule.expression:
                self.errors.append(invalid(place, rule.claim, NOT_BOTH))
            elif rule.claim:
                self._judge_claim_rule(rule, claims, place)
            elif rule.expression:
                self._judge_expression_rule(rule, expressions, place)
            else:
                self.errors.append(required(place, ONE_OF_BOTH))

    def judge_claim_mappings(self, mappings: ClaimMappings, location: Location) -> None:
        username = (*location, "username")
        verdict = self._judge_prefixed(mappings.username, username)
        self._email_is_verified |= verdict.uses_email_verified
        if mappings.groups is not None:
            self._judge_prefixed(mappings.groups, (*location, "groups"))
        if mappings.uid is not None:
            self._judge_uid(mappings.uid, (*location, "uid"))
        self._judge_extra(mappings.extra, (*location, "extra"))
        if verdict.uses_email and not self._email_is_verified:
            self.errors.append(invalid((*username, "expression"), mappings.username.expression, EMAIL_VERIFIED))

    def judge_user_rules(self, rules: tuple[UserRule, ...], location: Location) -> None:
        seen: set[str] = set()
        for index, rule in enumerate(rules):
            place = (*location, index, "expression")
            if not rule.expression:
                self.errors.append(required(place))
            elif self._is_first(rule.expression, seen, place):
                self._judge_expression(rule.expression, ExpressionUse.USER_RULE, place)

    def _judge_claim_rule(self, rule: ClaimRule, seen: set[str], place: Location) -> None:
        if rule.message:
            self.errors.append(invalid((*place, "message"), rule.message, NOT_WITH_CLAIM))
        self._is_first(rule.claim, seen, (*place, "claim"))

    def _judge_expression_rule(self, rule: ClaimRule, seen: set[str], place: Location) -> None:
        if rule.required_value:
            self.errors.append(invalid((*place, "requiredValue"), rule.required_value, NOT_WITH_EXPRESSION))
        if self._is_first(rule.expression, seen, (*place, "expression")):
            verdict = self._judge_expression(rule.expression, ExpressionUse.CLAIM_RULE, (*place, "expression"))
            self._email_is_verified |= verdict.uses_email_verified

    def _judge_prefixed(self, mapping: PrefixedMapping, place: Location) -> ExpressionVerdict:
        """Username, or groups that are given."""
        if mapping.claim and mapping.expression:
            self.errors.append(invalid(place, "", NOT_BOTH))
        elif mapping.expression:
            return self._judge_prefixed_expression(mapping, place)
        elif not mapping.claim:
            self.errors.append(required(place, ONE_OF_BOTH))
        elif mapping.prefix is None:
            self.errors.append(required((*place, "prefix"), PREFIX_REQUIRED))
        return _NOTHING

    def _judge_prefixed_expression(self, mapping: PrefixedMapping, place: Location) -> ExpressionVerdict:
        if mapping.prefix is not None:
            self.errors.append(invalid((*place, "prefix"), mapping.prefix, NOT_WITH_EXPRESSION))
        verdict = self._judge_expression(mapping.expression, ExpressionUse.CLAIM_MAPPING, (*place, "expression"))
        return verdict if mapping.prefix is None else _NOTHING

    def _judge_uid(self, mapping: Mapping, place: Location) -> None:
        if mapping.claim and mapping.expression:
            self.errors.append(invalid(place, "", NOT_BOTH))
        elif mapping.expression:
            self._judge_expression(mapping.expression, ExpressionUse.CLAIM_MAPPING, (*place, "expression"))

    def _judge_extra(self, mappings: tuple[ExtraMapping, ...], location: Location) -> None:
        seen: set[str] = set()
        for index, mapping in enumerate(mappings):
            key, value = (*location, index, "key"), (*location, index, "valueExpression")
            self.errors.extend(key_errors(mapping.key, key))
            if not self._is_first(mapping.key, seen, key):
                continue
            if not mapping.value_expression:
                self.errors.append(required(value))
                continue
            verdict = self._judge_expression(mapping.value_expression, ExpressionUse.CLAIM_MAPPING, value)
            self._email_is_verified |= verdict.uses_email_verified

    def _is_first(self, text: str, seen: set[str], place: Location) -> bool:
        if text in seen:
            self.errors.append(duplicate(place, text))
            return False
        seen.add(text)
        return True

    def _judge_expression(self, expression: str, use: ExpressionUse, place: Location) -> ExpressionVerdict:
        if self._check is None:
            self.errors.append(FieldError(place, f"not supported yet: {without_indices(place)}"))
            return _NOTHING
        verdict = self._check(expression, use)
        if verdict.error is None:
            return verdict
        self.errors.append(invalid(place, expression, verdict.error))
        return _NOTHING
