"""JSON Schema of kube's ``AuthenticationConfiguration``: types from ``kube_shapes``, words from kube's own
API documentation, shortened."""

from __future__ import annotations

from typing import Any, Final

from kubeoidcproxy.config import kube_shapes
from kubeoidcproxy.config.kube_shapes import ListOf, Shape

_EXPRESSION: Final = "A CEL expression over `claims`"

# Definition, named as in k8s.io/apiserver pkg/apis/apiserver/v1/types.go -> shape, what it is, what each field is.
_DEFINITIONS: Final[dict[str, tuple[dict[str, Any], str, dict[str, str]]]] = {
    "AuthenticationConfiguration": (
        kube_shapes.CONFIGURATION,
        "kube-apiserver's AuthenticationConfiguration.",
        {
            "apiVersion": "apiserver.config.k8s.io/v1, /v1beta1 or /v1alpha1.",
            "kind": "AuthenticationConfiguration.",
            "jwt": "The issuers whose tokens are taken; at most 64, each with a URL of its own.",
            "anonymous": "enabled: true is an error here: no request goes on without a caller.",
        },
    ),
    "AnonymousAuthConfig": (
        kube_shapes.ANONYMOUS,
        "Callers without a token: none go on here.",
        {"enabled": "true is an error here.", "conditions": "Paths that are open; an error without enabled: true."},
    ),
    "AnonymousAuthCondition": (
        kube_shapes.ANONYMOUS_CONDITION,
        "One open path.",
        {"path": "The exact path."},
    ),
    "JWTAuthenticator": (
        kube_shapes.AUTHENTICATOR,
        "One issuer, and who its tokens are.",
        {
            "issuer": "Who signs.",
            "claimValidationRules": "All must hold, or the token is refused.",
            "claimMappings": "How claims become a user.",
            "userValidationRules": "Must hold for the user that comes out.",
        },
    ),
    "Issuer": (
        kube_shapes.ISSUER,
        "Who signs tokens.",
        {
            "url": "https; exact `iss`. Discovery is at URL/.well-known/openid-configuration.",
            "discoveryURL": "Where the discovery document is, if elsewhere; must differ from the URL.",
            "certificateAuthority": "PEM certificates, instead of the system's roots.",
            "audiences": "A token must name one of these in `aud`.",
            "audienceMatchPolicy": "MatchAny; required with more than one audience.",
            "egressSelectorType": "An error here: there is no egress selector.",
        },
    ),
    "ClaimMappings": (
        kube_shapes.CLAIM_MAPPINGS,
        "How claims become a user.",
        {
            "username": "Required: a claim with a prefix, or an expression.",
            "groups": "A claim with a prefix, or an expression; a string or a list of strings.",
            "uid": "A claim or an expression.",
            "extra": "Further attributes of the user.",
        },
    ),
    "PrefixedClaimOrExpression": (
        kube_shapes.PREFIXED_MAPPING,
        "Either a claim with a prefix, or an expression.",
        {
            "claim": "The name of the claim.",
            "prefix": "Put before the claim's value; required with a claim, may be empty.",
            "expression": f"{_EXPRESSION}; a string (for groups also a list of strings).",
        },
    ),
    "ClaimOrExpression": (
        kube_shapes.CLAIM_MAPPINGS["uid"],
        "Either a claim or an expression.",
        {"claim": "The name of the claim.", "expression": f"{_EXPRESSION}; a string."},
    ),
    "ExtraMapping": (
        kube_shapes.EXTRA_MAPPING,
        "One further attribute.",
        {
            "key": "A domain-prefixed path in lower case, such as example.org/team.",
            "valueExpression": f"{_EXPRESSION}; a string or a list of strings.",
        },
    ),
    "ClaimValidationRule": (
        kube_shapes.CLAIM_RULE,
        "Either a claim with its value, or an expression.",
        {
            "claim": "The name of a claim that must be there.",
            "requiredValue": "The value that the claim must have, a string.",
            "expression": f"{_EXPRESSION}; must be true.",
            "message": "Told where the expression is false.",
        },
    ),
    "UserValidationRule": (
        kube_shapes.USER_RULE,
        "A condition on the user.",
        {"expression": "A CEL expression over `user`; must be true.", "message": "Told where it is false."},
    ),
}
_REQUIRED: Final = {
    "AuthenticationConfiguration": ["apiVersion", "kind"],
    "JWTAuthenticator": ["issuer", "claimMappings"],
    "Issuer": ["url", "audiences"],
    "ClaimMappings": ["username"],
    "ExtraMapping": ["key", "valueExpression"],
    "UserValidationRule": ["expression"],
}


def definitions() -> dict[str, Any]:
    """For ``$defs``; ``issuers`` refers to them by these names."""
    return {
        name: {
            "type": "object",
            "description": what,
            "properties": {key: {**_schema(shape[key]), "description": words[key]} for key in shape},
            "required": _REQUIRED.get(name, []),
            "additionalProperties": False,
        }
        for name, (shape, what, words) in _DEFINITIONS.items()
    }


def _schema(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, ListOf):
        return {"type": "array", "items": _schema(shape.item)}
    if isinstance(shape, str):
        return {"type": "boolean" if shape == "bool" else shape}
    for name, (known, _, _) in _DEFINITIONS.items():
        if known is shape:
            return {"$ref": f"#/$defs/{name}"}
    raise LookupError(f"no definition of {sorted(shape)}")
