"""Pydantic's findings in the words of somebody who edits YAML."""

from __future__ import annotations

from typing import Final

from pydantic_core import ErrorDetails

_WORDING: Final = {
    "missing": "required",
    "extra_forbidden": "unknown key",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


def wording(line: ErrorDetails) -> str:
    context = line.get("ctx", {})
    match line["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case known_type:
            return _WORDING.get(known_type, line["msg"])
