from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.schema import DIALECT, field_descriptions, json_schema, sections

SCHEMA = json_schema()


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(item)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The object that a property is, through references, lists and "or null"."""
    for inner in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if "$ref" in inner:
            found: dict[str, Any] = SCHEMA["$defs"][inner["$ref"].removeprefix("#/$defs/")]
            return found
    return schema


def test_its_dialect_and_that_it_is_json() -> None:
    assert SCHEMA["$schema"] == DIALECT
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_reference_leads_somewhere() -> None:
    references = {found["$ref"] for found in objects(SCHEMA) if "$ref" in found}
    assert references == {f"#/$defs/{name}" for name in SCHEMA["$defs"]}


def test_every_key_is_described() -> None:
    for found in objects(SCHEMA):
        if isinstance(found.get("properties"), dict) and "description" in found:
            for key, value in found["properties"].items():
                assert value.get("description"), key


@pytest.mark.parametrize("model", set(sections(Config)), ids=lambda model: model.__name__)
def test_every_field_has_a_docstring(model: Any) -> None:
    assert set(field_descriptions(model)) == set(model.model_fields)


def test_every_key_of_the_model_is_there_and_no_other() -> None:
    for model in set(sections(Config)):
        schema = SCHEMA if model is Config else SCHEMA["$defs"][model.__name__]
        assert set(schema["properties"]) == {field.alias for field in model.model_fields.values()}
        assert schema["additionalProperties"] is False


def test_defaults_are_shown_as_the_operator_writes_them() -> None:
    limits = resolved(SCHEMA["properties"]["limits"])["properties"]
    assert limits["maxHeadSize"]["default"] == "64KiB"
    assert limits["headTimeout"]["default"] == "30s"
    assert resolved(SCHEMA["properties"]["authentication"])["properties"]["tokenCacheTTL"]["default"] == "10s"


def test_kubes_configuration_is_described_inline() -> None:
    authentication = resolved(SCHEMA["properties"]["authentication"])["properties"]
    jwt = resolved(resolved(authentication["config"])["properties"]["jwt"])["properties"]
    issuer = resolved(jwt["issuer"])
    assert issuer["required"] == ["url", "audiences"]
    assert "MatchAny" in issuer["properties"]["audienceMatchPolicy"]["description"]
    static = resolved(authentication["staticIssuers"])["properties"]
    assert static["claimMappings"]["$ref"] == "#/$defs/ClaimMappings"
