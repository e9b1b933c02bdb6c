"""YAML (or JSON, which is YAML) to plain values as Kubernetes reads it, with the line of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from kubeoidcproxy.config.compose import Composer
from kubeoidcproxy.config.nodes import Document, DocumentError

# A file of 64 issuers with a CA bundle each stays far below.
MAX_BYTES: Final = 4 * 1024 * 1024

# libyaml where PyYAML was built with it: ten times as fast, and what goyaml.v2 was translated from.  It refuses the
# escapes by which JSON writes characters beyond U+FFFF.
_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SURROGATE: Final = re.compile(r"\\u[dD][89abAB]")


def read(data: bytes) -> Document:
    """The first document of the text. :raises DocumentError:"""
    if len(data) > MAX_BYTES:
        raise DocumentError(1, f"larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    return Composer(_events(text)).document()


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader if _SURROGATE.search(text) else _FastLoader)
    except yaml.reader.ReaderError as error:
        raise DocumentError(text.count("\n", 0, error.position) + 1, f"yaml: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(mark.line + 1 if mark else 1, f"yaml: {error.problem or error.context}") from None
