"""What a scalar of YAML means to Kubernetes.

sigs.k8s.io/yaml reads with goyaml.v2, whose ``resolve`` this follows.  PyYAML's own resolver differs: there ``y`` and
``n`` are strings, ``12:30`` is a number, ``2026-01-01`` a date and ``1e3`` a string.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Final

Scalar = str | bool | int | float | None

_TAGS: Final = "tag:yaml.org,2002:"
_TRUE: Final = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"]
_FALSE: Final = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"]
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([sign + word for sign in ("", "+") for word in (".inf", ".Inf", ".INF")], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
}
_INTEGER: Final = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))", re.ASCII
)
_BASES: Final = {"x": 16, "b": 2, "o": 8, "d": 10}
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "null": (type(None),),
    "timestamp": (str,),
}


def resolve(text: str, tag: str | None, *, plain: bool) -> Scalar:
    """:param plain: neither quoted nor a block, so that the text may be more than a string."""
    kind = (tag or "").removeprefix(_TAGS)
    if kind == "binary" and tag != kind:
        return _decoded(text)
    if (not tag and not plain) or (tag and (tag == kind or kind not in _KINDS)):
        return text
    value = _by_looks(text)
    if kind and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "bool")):
        raise ValueError(f"cannot decode `{text}` as a !!{kind}")
    return float(value) if kind == "float" and isinstance(value, int) else value


def kind_of(value: object) -> str:
    """The word that Go's encoding/json has for a value of this type."""
    if value is None:
        return "null"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "bool"),
        ((int, float), "number"),
        (str, "string"),
        (dict, "object"),
    )
    return next((name for types, name in kinds if isinstance(value, types)), "array")


def _by_looks(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return _number_or_text(text, text)
    if text[0] in "+-0123456789":
        bare = text.replace("_", "")
        integer = _integer(bare)
        return _number_or_text(bare, text) if integer is None else integer
    return text


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if match is None or match.lastgroup is None or len(text) > 66:
        return None
    value = int(match[match.lastgroup], _BASES[match.lastgroup])
    # ParseInt, then ParseUint, which takes no sign.
    limit = {"": 2**64 - 1, "+": 2**63 - 1, "-": 2**63}[match["sign"]]
    return None if value > limit else -value if match["sign"] == "-" else value


def _number_or_text(bare: str, text: str) -> float | str:
    value = float(bare) if _FLOAT.fullmatch(bare) else math.inf
    return text if math.isinf(value) else value


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("!!binary value contains invalid base64 data") from None
