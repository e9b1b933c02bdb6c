"""Every document of the corpus gets the verdict of kube-apiserver's own code (k8s.io/apiserver v0.35.4).

What needs a CEL compiler is not judged yet: an expression is taken to be right, and errors that only a compiler finds
are left out of the comparison; such cases are skipped with that reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubeoidcproxy.config.authentication import AuthenticationConfiguration, PrefixedMapping
from kubeoidcproxy.config.authentication_file import Judged, judge_text
from kubeoidcproxy.config.expressions import ExpressionUse, ExpressionVerdict
from kubeoidcproxy.config.problems import Severity

CASES = json.loads((Path(__file__).parent.parent / "data" / "oracle" / "configs.json").read_text(encoding="utf-8"))[
    "cases"
]
OF_THE_COMPILER = (
    "compilation failed:",
    "program instantiation failed:",
    "must evaluate to bool",
    "email_verified must",
)
# "an accident of the decoder; refusing it is right", says the corpus.
INTERNAL_VERSION = "apiserver.config.k8s.io/__internal"


def of(verdict: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["verdict"] == verdict]


def needs_compiler(case: dict[str, Any]) -> bool:
    return any(mark in error for error in case.get("errors", ()) for mark in OF_THE_COMPILER)


def any_expression(expression: str, use: ExpressionUse) -> ExpressionVerdict:
    return ExpressionVerdict()


def judge(case: dict[str, Any]) -> tuple[Judged, list[str]]:
    disallowed = case.get("disallowed_issuers", ())
    judged = judge_text(case["yaml"].encode(), "auth.yaml", any_expression, disallowed_issuers=disallowed)
    errors = [problem for problem in judged.problems if problem.severity is Severity.ERROR]
    return judged, [f"{problem.path}: {problem.message}" if problem.path else problem.message for problem in errors]


@pytest.mark.parametrize("case", of("valid"))
def test_valid(case: dict[str, Any]) -> None:
    judged, errors = judge(case)
    if "stricter" in case or INTERNAL_VERSION in case["yaml"]:
        assert errors
    else:
        assert errors == []
        assert judged.configuration is not None
        assert in_kubes_json(judged.configuration) == without_empties(case["decoded"].get("jwt") or [])


@pytest.mark.parametrize("case", of("invalid"))
def test_invalid(case: dict[str, Any]) -> None:
    _, errors = judge(case)
    assert errors == [error for error in case["errors"] if not any(mark in error for mark in OF_THE_COMPILER)]
    if needs_compiler(case):
        pytest.skip("the rest of its errors needs a CEL compiler")


@pytest.mark.parametrize("case", of("decode_error"))
def test_undecodable(case: dict[str, Any]) -> None:
    _, errors = judge(case)
    assert errors
    for told in case["error"].partition("strict decoding error: ")[2].split(", "):
        field = told.rpartition("\n")[2].strip().partition(": ")[2] if "already set" in told else told
        assert INTERNAL_VERSION in case["yaml"] or any(field in error for error in errors)


def in_kubes_json(configuration: AuthenticationConfiguration) -> list[Any]:
    found = []
    for authenticator in configuration.jwt:
        issuer, mappings = authenticator.issuer, authenticator.claim_mappings
        found.append(
            {
                "issuer": {
                    "url": issuer.url,
                    "discoveryURL": issuer.discovery_url,
                    "certificateAuthority": issuer.certificate_authority,
                    "audiences": list(issuer.audiences),
                    "audienceMatchPolicy": issuer.audience_match_policy,
                    "egressSelectorType": issuer.egress_selector_type,
                },
                "claimMappings": {
                    "username": prefixed(mappings.username),
                    "groups": prefixed(mappings.groups),
                    "uid": mappings.uid and {"claim": mappings.uid.claim, "expression": mappings.uid.expression},
                    "extra": [{"key": one.key, "valueExpression": one.value_expression} for one in mappings.extra],
                },
                "claimValidationRules": [
                    {
                        "claim": rule.claim,
                        "requiredValue": rule.required_value,
                        "expression": rule.expression,
                        "message": rule.message,
                    }
                    for rule in authenticator.claim_validation_rules
                ],
                "userValidationRules": [
                    {"expression": rule.expression, "message": rule.message}
                    for rule in authenticator.user_validation_rules
                ],
            }
        )
    kept: list[Any] = without_empties(found)
    return kept


def prefixed(mapping: PrefixedMapping | None) -> Any:
    return mapping and {"claim": mapping.claim, "prefix": mapping.prefix, "expression": mapping.expression}


def without_empties(value: Any) -> Any:
    """As Go leaves them out; an empty prefix is not empty, for kube tells it from none."""
    if isinstance(value, list):
        return [without_empties(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: without_empties(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item not in (None, "", [], {}) or (key, item) == ("prefix", "")}
