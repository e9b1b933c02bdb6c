"""Durations ("500ms", "10s", "5m", "1h", a bare 0) as seconds and sizes (65536, "64KiB") as bytes.

The contract knows these units only.  A bare number other than 0 is refused as a duration: nobody can tell whether
``connectTimeout: 10`` meant seconds or milliseconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
BYTES: Final = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

DURATION_PATTERN: Final = r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$"
SIZE_PATTERN: Final = r"^[0-9]+(B|KiB|MiB|GiB|TiB)?$"
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION: Final = re.compile(DURATION_PATTERN.replace("$", r"\Z"), re.ASCII)
_SIZE: Final = re.compile(r"([0-9]+)(B|KiB|MiB|GiB|TiB)?\Z", re.ASCII)
# Longer texts are no quantity that anybody meant; the bound keeps every result finite.
_LONGEST: Final = 32


def parse_duration(value: object) -> float:
    if type(value) in (int, float) and value == 0:
        return 0.0
    if not isinstance(value, str) or len(value) > _LONGEST or not _DURATION.match(value):
        raise ValueError('must be a duration such as "500ms", "10s", "5m" or "1h"')
    # fsum of exact parts, so that "1h30m" and "90m" are the same number.
    return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(value))


def parse_size(value: object) -> int:
    if type(value) is int and value >= 0:
        return value
    match = _SIZE.match(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    if match is None:
        raise ValueError('must be a size such as 65536, "64KiB", "10MiB" or "1GiB"')
    return int(match[1]) * BYTES[match[2] or ""]


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


_DURATION_SCHEMA: Final[dict[str, Any]] = {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}]}
_SIZE_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE_PATTERN}]
}

# Pydantic runs before-validators from right to left, so the text is parsed first.
Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
PositiveDuration = Annotated[
    float, BeforeValidator(_above_zero), BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)
]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
PositiveSize = Annotated[int, BeforeValidator(_above_zero), BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]


def duration(default: str) -> Any:
    """A field whose default is this duration; the schema shows it as the operator would write it."""
    return Field(default=parse_duration(0 if default == "0" else default), json_schema_extra={"default": default})


def size(default: str) -> Any:
    """A field whose default is this size; the schema shows it as the operator would write it."""
    return Field(default=parse_size(default), json_schema_extra={"default": default})
