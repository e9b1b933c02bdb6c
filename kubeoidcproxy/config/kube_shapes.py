"""The fields of kube's ``AuthenticationConfiguration`` and their types.

k8s.io/apiserver ``pkg/apis/apiserver/v1/types.go`` of Kubernetes 1.35; v1beta1 and v1alpha1 have the same fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Shape


# A JSON kind of Go ("string", "bool"), a list, or a structure of named fields.
Shape = str | ListOf | dict[str, Any]

_STRINGS: Final = ListOf("string")
PREFIXED_MAPPING: Final = {"claim": "string", "prefix": "string", "expression": "string"}
EXTRA_MAPPING: Final = {"key": "string", "valueExpression": "string"}
CLAIM_MAPPINGS: Final[dict[str, Any]] = {
    "username": PREFIXED_MAPPING,
    "groups": PREFIXED_MAPPING,
    "uid": {"claim": "string", "expression": "string"},
    "extra": ListOf(EXTRA_MAPPING),
}
CLAIM_RULE: Final = {"claim": "string", "requiredValue": "string", "expression": "string", "message": "string"}
USER_RULE: Final = {"expression": "string", "message": "string"}
CLAIM_RULES: Final = ListOf(CLAIM_RULE)
USER_RULES: Final = ListOf(USER_RULE)
ISSUER: Final = {
    "url": "string",
    "discoveryURL": "string",
    "certificateAuthority": "string",
    "audiences": _STRINGS,
    "audienceMatchPolicy": "string",
    "egressSelectorType": "string",
}
AUTHENTICATOR: Final = {
    "issuer": ISSUER,
    "claimValidationRules": CLAIM_RULES,
    "claimMappings": CLAIM_MAPPINGS,
    "userValidationRules": USER_RULES,
}
ANONYMOUS_CONDITION: Final = {"path": "string"}
ANONYMOUS: Final = {"enabled": "bool", "conditions": ListOf(ANONYMOUS_CONDITION)}
CONFIGURATION: Final = {
    "apiVersion": "string",
    "kind": "string",
    "jwt": ListOf(AUTHENTICATOR),
    "anonymous": ANONYMOUS,
}
