"""JSON Schema (draft 2020-12) of the configuration file, for editors.

Types come from the models, descriptions from the docstrings under their attributes; those are read out of the source
only here, so that the daemon's start does not pay for them.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent
from typing import Any, Final

from kubeoidcproxy.config.issuers import OF_KUBE
from kubeoidcproxy.config.kube_schema import definitions
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.section import Section

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    schema = Config.model_json_schema(by_alias=True)
    schema["$defs"].update(definitions())
    for model in sections(Config):
        properties = (schema if model is Config else schema["$defs"][model.__name__])["properties"]
        for name, text in field_descriptions(model).items():
            properties[model.model_fields[name].alias]["description"] = text
    cleaned: dict[str, Any] = _without_noise(schema)
    return {"$schema": DIALECT, "title": "kubeoidcproxy", **cleaned}


def sections(model: type[Section]) -> Iterator[type[Section]]:
    """The model and all that it holds."""
    yield model
    for field in model.model_fields.values():
        for inner in _sections_in(field.annotation):
            yield from sections(inner)


def field_descriptions(model: type[Section]) -> dict[str, str]:
    """Field -> the docstring under it, on one line."""
    tree = ast.parse(dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for statement, following in pairwise(tree.body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections_in(argument)


def _without_noise(value: Any) -> Any:
    """Pydantic's titles repeat the key, and its default of a whole section repeats the section in Python's names."""
    if isinstance(value, list):
        return [_without_noise(item) for item in value]
    if not isinstance(value, dict):
        return value
    if OF_KUBE in value:
        value = {**value, "$ref": f"#/$defs/{value[OF_KUBE]}"}
    return {
        key: _without_noise(item)
        for key, item in value.items()
        if key != OF_KUBE
        and not (key == "title" and isinstance(item, str))
        and not (key == "default" and isinstance(item, dict) and item)
    }
