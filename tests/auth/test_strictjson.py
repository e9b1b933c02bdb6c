"""JSON with one meaning or none."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.auth.strictjson import MAX_DEPTH, parse_object


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[]", "not a JSON object"),
        (b"1", "not a JSON object"),
        (b'{"a":1,"a":1}', 'duplicate member "a"'),
        (b'{"x":{"a":1,"\\u0061":1}}', 'duplicate member "a"'),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1}x', "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM|Expecting value"),
        ('{"a":1}'.encode("utf-16"), "utf-8"),
        (b'{"a":"\xff"}', "utf-8"),
        (b'{"a":"\t"}', "control character"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
        (b'{"a":' + b"1" * 5000 + b"}", "digits"),
        (b"", "Expecting value"),
    ],
)
def test_refused(data: bytes, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        parse_object(data)


def test_brackets_in_strings_are_no_depth() -> None:
    """Nor are brackets side by side."""
    value = {"a": '[{"\\' * 200, "b": [[]] * 200}
    assert parse_object(json.dumps(value).encode()) == value


def test_the_deepest() -> None:
    """The object itself counts as one."""
    for depth, fits in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        data = b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
        if fits:
            parse_object(data)
        else:
            with pytest.raises(ValueError, match="too deeply"):
                parse_object(data)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ue0-1.', max_size=40).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """An object or ValueError, nothing else."""
    with contextlib.suppress(ValueError):
        assert isinstance(parse_object(data), dict)
