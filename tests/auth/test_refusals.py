"""What is shown to whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.auth.refusals import forbidden, keys_unavailable, quoted, shown, unauthorized

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def test_statuses() -> None:
    """401 with the word that kubectl's users know; 403; 503 with a time to come back."""
    assert (unauthorized("why").status, unauthorized("why").message) == (401, "Unauthorized: why")
    assert unauthorized("why", "really").detail == "really"
    assert forbidden("why", "really").status == 403
    assert (keys_unavailable("x").status, keys_unavailable("x").retry_after) == (503, 10)


def test_quoted() -> None:
    assert quoted('a"b\\c\n\x1b\ud800ü') == r'"a\"b\\c\n\x1b\ud800ü"'
    assert len(quoted("x" * 10_000)) < 300


@given(ANY_TEXT)
def test_always_on_one_line(text: str) -> None:
    for result in (shown(text), quoted(text), unauthorized("r", text).detail):
        assert result.isprintable()
        result.encode("utf-8")
