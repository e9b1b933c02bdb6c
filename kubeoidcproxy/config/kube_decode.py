"""Plain values to ``AuthenticationConfiguration``, as strictly as kube-apiserver's codec decodes it.

Unknown fields, fields given twice and values of another type are errors; null is "not given".  Kubernetes stops at the
first wrong type and prints Go's type names; here every one is told, with the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kubeoidcproxy.config import authentication as auth
from kubeoidcproxy.config.kube_errors import FieldError, quoted
from kubeoidcproxy.config.kube_shapes import ListOf, Shape
from kubeoidcproxy.config.nodes import Fault, FaultKind
from kubeoidcproxy.config.problems import Location, dotted
from kubeoidcproxy.config.scalars import kind_of

API_VERSIONS: Final = tuple(f"apiserver.config.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
KIND: Final = "AuthenticationConfiguration"

_NO_TYPE_META: Final = "couldn't get version/kind; json parse error: json"
_STRICT: Final = "strict decoding error: "


class Undecodable(Exception):
    """:param error: why the document is none of ours at all."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(str(error))
        self.error = error


def check_type_meta(value: object, base: Location = ()) -> None:
    """``kind`` and ``apiVersion``, which Kubernetes reads before anything else. :raises Undecodable:"""
    if not isinstance(value, dict) and value is not None:
        raise _undecodable(base, f"{_NO_TYPE_META}: cannot unmarshal {kind_of(value)} into a mapping")
    members = value or {}
    for name in ("apiVersion", "kind"):
        if kind_of(members.get(name)) not in ("string", "null"):
            text = f"{_NO_TYPE_META}: cannot unmarshal {kind_of(members[name])} into field .{name} of type string"
            raise _undecodable((*base, name), text)
    for name, title in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not members.get(name):
            raise _undecodable(base, f"Object '{title}' is missing")
    kind, version = members["kind"], members["apiVersion"]
    if kind != KIND or version not in API_VERSIONS:
        text = f"no kind {quoted(kind)} is registered for version {quoted(version)}"
        raise _undecodable((*base, "apiVersion" if kind == KIND else "kind"), text)


def _undecodable(location: Location, text: str) -> Undecodable:
    return Undecodable(FieldError(location, text))


def is_strict(error: FieldError) -> bool:
    """Would a lenient decoder have gone on?"""
    return error.text.startswith(_STRICT)


def strict_faults(faults: tuple[Fault, ...]) -> Iterator[FieldError]:
    """Keys given twice. A key that is no string is an unknown field anyway: every field of kube's is a word."""
    for fault in faults:
        if fault.kind is FaultKind.DUPLICATE_KEY:
            text = f"line {fault.line}: key {quoted(str(fault.location[-1]))} already set in map"
            yield FieldError(fault.location, f"{_STRICT}yaml: unmarshal errors: {text}")


def mismatches(value: object, shape: Shape, location: Location, base: Location) -> Iterator[FieldError]:
    """What of the value has another type than kube's schema, or no place in it.

    :param base: where in the file kube's own document starts; its messages name fields from there.
    """
    if value is None:
        return
    expected = shape if isinstance(shape, str) else "array" if isinstance(shape, ListOf) else "object"
    if kind_of(value) != expected:
        field = dotted(location[len(base) :])
        yield FieldError(location, f"json: cannot unmarshal {kind_of(value)} into field {field} of type {expected}")
    elif isinstance(shape, ListOf) and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from mismatches(item, shape.item, (*location, index), base)
    elif isinstance(shape, dict) and isinstance(value, dict):
        yield from _mismatched_fields(value, shape, location, base)


def _mismatched_fields(
    value: dict[str, object], shape: dict[str, Any], location: Location, base: Location
) -> Iterator[FieldError]:
    for key, item in value.items():
        inner = (*location, key)
        if key in shape:
            yield from mismatches(item, shape[key], inner, base)
        else:
            yield FieldError(inner, f"{_STRICT}unknown field {quoted(dotted(inner[len(base) :]))}")


def configuration(value: dict[str, Any]) -> auth.AuthenticationConfiguration:
    """Of a value without mismatches of type; unknown fields are left aside."""
    return auth.AuthenticationConfiguration(
        tuple(_authenticator(item or {}) for item in value.get("jwt") or ()), _anonymous(value.get("anonymous"))
    )


def _authenticator(value: dict[str, Any]) -> auth.JWTAuthenticator:
    return auth.JWTAuthenticator(
        _issuer(value.get("issuer") or {}),
        claim_mappings(value.get("claimMappings")),
        claim_rules(value.get("claimValidationRules")),
        user_rules(value.get("userValidationRules")),
    )


def _issuer(value: dict[str, Any]) -> auth.Issuer:
    return auth.Issuer(
        url=_text(value, "url"),
        discovery_url=_text(value, "discoveryURL"),
        certificate_authority=value.get("certificateAuthority") or None,
        audiences=tuple(audience or "" for audience in value.get("audiences") or ()),
        audience_match_policy=_text(value, "audienceMatchPolicy"),
        egress_selector_type=_text(value, "egressSelectorType"),
    )


def claim_mappings(value: dict[str, Any] | None) -> auth.ClaimMappings:
    members = value or {}
    username, groups, uid = (members.get(name) or {} for name in ("username", "groups", "uid"))
    return auth.ClaimMappings(
        _prefixed(username),
        _prefixed(groups) if groups.get("claim") or groups.get("expression") else None,
        auth.Mapping(_text(uid, "claim"), _text(uid, "expression")) if any(uid.values()) else None,
        tuple(
            auth.ExtraMapping(_text(item or {}, "key"), _text(item or {}, "valueExpression"))
            for item in members.get("extra") or ()
        ),
    )


def claim_rules(value: Any) -> tuple[auth.ClaimRule, ...]:
    names = ("claim", "requiredValue", "expression", "message")
    return tuple(auth.ClaimRule(*(_text(rule or {}, name) for name in names)) for rule in value or ())


def user_rules(value: Any) -> tuple[auth.UserRule, ...]:
    return tuple(auth.UserRule(_text(rule or {}, "expression"), _text(rule or {}, "message")) for rule in value or ())


def _prefixed(value: dict[str, Any]) -> auth.PrefixedMapping:
    return auth.PrefixedMapping(_text(value, "claim"), value.get("prefix"), _text(value, "expression"))


def _anonymous(value: dict[str, Any] | None) -> auth.Anonymous | None:
    if value is None:
        return None
    return auth.Anonymous(
        bool(value.get("enabled")), tuple(_text(item or {}, "path") for item in value.get("conditions") or ())
    )


def _text(value: dict[str, Any], name: str) -> str:
    return value.get(name) or ""
