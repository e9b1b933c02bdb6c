"""The texts of Kubernetes' field errors (k8s.io/apimachinery ``pkg/util/validation/field/errors.go``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from kubeoidcproxy.config.problems import Location, dotted

_ESCAPES: Final = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", "\\": r"\\", '"': r"\"",
}  # fmt: skip
# encoding/json writes these for the sake of HTML and JavaScript.
_JSON_ESCAPES: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class FieldError:
    """:param text: what Kubernetes prints behind the path."""

    location: Location
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.location)}: {self.text}"


def required(location: Location, detail: str = "") -> FieldError:
    return FieldError(location, _with_detail("Required value", detail))


def invalid(location: Location, value: str, detail: str) -> FieldError:
    return FieldError(location, _with_detail(f"Invalid value: {quoted(value)}", detail))


def invalid_typed(location: Location, value: object, detail: str) -> FieldError:
    """The value has a named Go type (an enumeration, a list), which is printed as JSON instead of with ``%q``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_JSON_ESCAPES)
    return FieldError(location, _with_detail(f"Invalid value: {text}", detail))


def duplicate(location: Location, value: str) -> FieldError:
    return FieldError(location, f"Duplicate value: {quoted(value)}")


def too_many(location: Location, count: int, limit: int) -> FieldError:
    return FieldError(location, f"Too many: {count}: must have at most {limit} items")


def quoted(text: str) -> str:
    """``%q``: Go's strconv.Quote."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _with_detail(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text
