"""When to ask again."""

from __future__ import annotations

import pytest

from kubeoidcproxy.auth.freshness import backoff, lifetime, retry_after


@pytest.mark.parametrize(
    ("control", "age", "seconds"),
    [
        ("", "", 600),
        ("max-age=120", "", 120),
        ("public, max-age=120, must-revalidate", "20", 100),
        ('MAX-AGE="120"', "", 120),
        ("max-age=0", "", 60),
        ("max-age=99999999999999", "", 600),
        ("max-age=-1", "", 600),
        ("s-maxage=120", "", 600),
        ("no-cache", "", 60),
        ("max-age=300, no-store", "", 60),
        ("max-age=300", "x", 300),
        ("max-age=300", "9999", 60),
    ],
)
def test_lifetime(control: str, age: str, seconds: float) -> None:
    assert lifetime({"cache-control": control, "age": age}) == seconds


def test_backoff() -> None:
    """Doubling to a minute; jitter takes up to a tenth off."""
    assert [backoff(failures, 0) for failures in (1, 2, 3, 4, 1000)] == [10, 20, 40, 60, 60]
    assert backoff(1, 1) == 9


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("", 0), ("Wed, 21 Oct 2026", 0), ("-1", 0), ("99999999", 3600)]
)
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}) == seconds
