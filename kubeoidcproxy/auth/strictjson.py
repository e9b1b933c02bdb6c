"""JSON objects from strangers: one meaning or none.

``json.loads`` as it comes guesses UTF-16, takes ``NaN``, keeps the last of two equal members (another parser may keep
the first) and ends in RecursionError on deep nesting.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from kubeoidcproxy.auth.refusals import quoted

MAX_DEPTH = 64  # real claims stay below ten; what walks them later must not run out of stack

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def parse_object(data: bytes) -> dict[str, Any]:
    """The members of a JSON object; ValueError for anything else. No part of the data is in the error but names."""
    text = data.decode("utf-8", "strict")
    _refuse_depth(text)
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate member {quoted(next(name for name in names if names.count(name) > 1))}")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
