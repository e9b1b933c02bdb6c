from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.config.quantities import BYTES, SECONDS, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        (0, 0.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("1h30m", 5400.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        10,
        1.5,
        True,
        False,
        None,
        "",
        "10",
        "-1s",
        "+1s",
        "10 s",
        "s",
        "1d",
        "10S",
        "1e3s",
        "10s\n",
        "٣s",
        "9" * 40 + "s",
        [],
    ],
)
def test_what_is_no_duration(text: object) -> None:
    """A bare number other than 0 is none: seconds or milliseconds?"""
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [(65536, 65536), (0, 0), ("65536", 65536), ("64KiB", 65536), ("10MiB", 10485760), ("1GiB", 2**30), ("5B", 5)],
)
def test_sizes(text: object, number: int) -> None:
    assert parse_size(text) == number


@pytest.mark.parametrize("text", [-1, 1.5, True, None, "", "64KB", "64kib", "1.5MiB", "64 KiB", "-1", "KiB", "1KiB\n"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(text)


@given(st.integers(0, 10**9), st.sampled_from(list(SECONDS)))
def test_a_duration_is_number_times_unit(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * SECONDS[unit]


@given(st.integers(0, 10**9), st.sampled_from(list(BYTES)))
def test_a_size_is_number_times_unit(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * BYTES[unit]


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_anything_is_judged_without_a_surprise(value: object) -> None:
    for parse in (parse_duration, parse_size):
        with suppress(ValueError):
            assert parse(value) >= 0
