"""A plain scalar means here what goyaml.v2 makes of it for kube-apiserver."""

from __future__ import annotations

import math

import pytest

from kubeoidcproxy.config.scalars import kind_of, resolve

TAG = "tag:yaml.org,2002:"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("nULL", "nULL"),
        ("y", True),
        ("Y", True),
        ("on", True),
        ("Off", False),
        ("n", False),
        ("tRUE", "tRUE"),
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        ("1_000", 1000),
        ("017", 15),
        ("0o17", 15),
        ("08", 8.0),
        ("0x1F", 31),
        ("-0x1F", -31),
        ("0b101", 5),
        ("0b2", "0b2"),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("0xFFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFFF"),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".5", 0.5),
        (".", "."),
        ("1.10", 1.1),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("<<", "<<"),
        ("٣", "٣"),
    ],
)
def test_plain(text: str, value: object) -> None:
    resolved = resolve(text, None, plain=True)
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize("text", ["y", "12", "null", "", "1e3"])
def test_a_quoted_scalar_is_a_string(text: str) -> None:
    assert resolve(text, None, plain=False) == text


@pytest.mark.parametrize(
    ("text", "tag", "value"),
    [
        ("5", f"{TAG}str", "5"),
        ("bar", "!foo", "bar"),
        ("5", "!", "5"),
        ("5", "!int", "5"),
        ("aGk=", f"{TAG}binary", "hi"),
        ("5", f"{TAG}int", 5),
        ("5", f"{TAG}float", 5.0),
        ("yes", f"{TAG}bool", True),
        ("2026-01-01", f"{TAG}timestamp", "2026-01-01"),
    ],
)
def test_tagged(text: str, tag: str, value: object) -> None:
    assert resolve(text, tag, plain=False) == value


@pytest.mark.parametrize(
    ("text", "tag"), [("x", "int"), ("yes", "int"), ("5", "bool"), ("*", "binary"), ("/w==", "binary"), ("1.5", "int")]
)
def test_a_tag_that_does_not_fit_is_refused(text: str, tag: str) -> None:
    with pytest.raises(ValueError, match=tag):
        resolve(text, TAG + tag, plain=False)


def test_not_a_number() -> None:
    value = resolve(".nan", None, plain=True)
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "bool"), (1, "number"), (1.5, "number"), ("", "string"), ({}, "object"), ([], "array")],
)
def test_kinds_are_named_as_in_go(value: object, kind: str) -> None:
    assert kind_of(value) == kind
