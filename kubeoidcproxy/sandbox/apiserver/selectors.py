"""Label and field selectors, as far as kubectl and client-go's informers send them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kubeoidcproxy.sandbox.apiserver.status import bad_request

Predicate = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)\Z")
_EQUALITY = re.compile(r"(?P<key>[^=!\s]+)\s*(?P<operator>==|!=|=)\s*(?P<value>[^=!\s]*)\Z")
_EXISTS = re.compile(r"(?P<absent>!?)(?P<key>[^=!\s]+)\Z")


def name_in_field_selector(selector: str) -> str:
    """The name that ``metadata.name=…`` asks for; RequestInfo takes it as the name of the request."""
    for term in selector.split(","):
        match = _EQUALITY.match(term.strip())
        if match and match["key"] == "metadata.name" and match["operator"] != "!=":
            return match["value"]
    return ""


def label_predicate(selector: str) -> Predicate:
    """Whether an object's labels match, all terms together."""
    terms = [_label_term(term.strip()) for term in re.split(r",(?![^(]*\))", selector) if term.strip()]
    return lambda item: all(term(item["metadata"].get("labels") or {}) for term in terms)


def field_predicate(selector: str, known: Collection[str] = ()) -> Predicate:
    """Whether an object's fields match. Name and namespace are known for every kind, others are said by the caller."""
    terms = _field_terms(selector)
    for key, _, _ in terms:
        if key not in ("metadata.name", "metadata.namespace", *known):
            listed = '"metadata.name", "metadata.namespace"'
            raise bad_request(f'"{key}" is not a known field selector: only {listed}')

    def matches(item: Mapping[str, Any]) -> bool:
        return all((_field(item, key) == value) is (operator != "!=") for key, operator, value in terms)

    return matches


def _label_term(term: str) -> Predicate:
    if match := _SET.match(term):
        key, operator, text = match.group("key", "operator", "values")
        values = {value.strip() for value in text.split(",")}
        return lambda labels: (labels.get(key) in values) is (operator == "in")
    if match := _EQUALITY.match(term):
        key, operator, text = match.group("key", "operator", "value")
        return lambda labels: (labels.get(key) == text) is (operator != "!=")
    if match := _EXISTS.match(term):
        absent, key = match.group("absent", "key")
        return lambda labels: (key in labels) is not bool(absent)
    raise bad_request(f"found '{term}', expected: !, identifier, or 'end of string'")


def _field_terms(selector: str) -> list[tuple[str, str, str]]:
    matches = [(term, _EQUALITY.match(term.strip())) for term in selector.split(",") if term.strip()]
    wrong = [term for term, match in matches if match is None]
    if wrong:
        raise bad_request(f"invalid selector: '{wrong[0]}'; can't understand '{wrong[0]}'")
    return [(match["key"], match["operator"], match["value"]) for _, match in matches if match is not None]


def _field(item: Mapping[str, Any], path: str) -> str:
    value: Any = item
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return str(value)
