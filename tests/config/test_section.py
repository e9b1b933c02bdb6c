"""All that is wrong in a section is told, and what of it is right stays usable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from kubeoidcproxy.config.quantities import Duration, duration
from kubeoidcproxy.config.section import Breach, NotValidated, Section, judge
from kubeoidcproxy.config.values import Flag, Text


def odd_name(inner: Inner) -> Iterator[Breach]:
    if inner.name == "odd":
        yield ("innerName",), "{is odd}"


class Inner(Section):
    name: Text
    wait_time: Duration = duration("5s")

    rules = (odd_name,)


def names_differ(outer: Outer) -> Iterator[Breach]:
    if outer.first.name == outer.second.name:
        yield (), "one name"


class Outer(Section):
    first: Inner
    second: Inner
    others: tuple[Inner, ...] = ()
    flag: Flag = False
    maybe: Inner | None = Inner(name="default")

    rules = (names_differ,)


def found(value: dict[str, Any]) -> list[tuple[Any, str]]:
    return judge(Outer, value, {})[1]


def test_camel_case_only() -> None:
    assert Inner.model_validate({"name": "a", "waitTime": "1m"}).wait_time == 60.0
    with pytest.raises(ValidationError):
        Inner.model_validate({"name": "a", "wait_time": "1m"})


def test_right_values_have_no_problem() -> None:
    outer, problems = judge(Outer, {"first": {"name": "a"}, "second": {"name": "b"}}, {})
    assert problems == []
    assert (outer.first.name, outer.maybe) == ("a", Inner(name="default"))


def test_all_is_told() -> None:
    value = {
        "first": {"name": "odd", "waitTime": 3, "x": 1},
        "second": {"name": "odd"},
        "others": [{"name": 5}, "no mapping", {}],
        "flag": "yes",
        "y": None,
    }
    assert dict(found(value)) == {
        ("flag",): "must be true or false",
        ("y",): "unknown key",
        (): "one name",
        ("first", "waitTime"): 'must be a duration such as "500ms", "10s", "5m" or "1h"',
        ("first", "x"): "unknown key",
        ("first", "innerName"): "{is odd}",
        ("second", "innerName"): "{is odd}",
        ("others", 0, "name"): "must be a string",
        ("others", 1): "must be a mapping",
        ("others", 2, "name"): "required",
    }


def test_a_rule_that_needs_a_faulty_field_is_not_asked() -> None:
    assert found({"first": {"name": 1}, "second": {"name": "b"}}) == [(("first", "name"), "must be a string")]


def test_what_is_right_stays() -> None:
    outer, _ = judge(Outer, {"first": {"name": "a", "waitTime": 3}, "second": 5, "flag": True}, {})
    assert outer.first.name == "a"
    assert outer.flag is True
    with pytest.raises(NotValidated):
        _ = outer.first.wait_time


def test_an_empty_container_means_its_default() -> None:
    """`others:` with all its lines commented out is null to YAML."""
    outer, problems = judge(Outer, {"first": {"name": "a"}, "second": {"name": "b"}, "others": None, "maybe": None}, {})
    assert problems == []
    assert (outer.others, outer.maybe) == ((), None)


def test_a_required_section_must_not_be_empty() -> None:
    assert found({"first": None, "second": {"name": "b"}}) == [(("first",), "required")]


def test_validated_directly_it_raises_with_everything() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"first": {"name": 1}, "second": {"name": "odd", "z": 0}})
    assert {line["loc"] for line in caught.value.errors()} == {
        ("first", "name"),
        ("second", "z"),
        ("second", "innerName"),
    }


def test_values_never_show_in_the_text_of_an_error() -> None:
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"name": ["secret"]})
    assert "secret" not in str(caught.value)


def test_sections_are_frozen() -> None:
    section: Any = Inner(name="a")
    with pytest.raises(ValidationError):
        section.name = "b"
