from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.config import document
from kubeoidcproxy.config.document import read
from kubeoidcproxy.config.nodes import DocumentError, FaultKind


@pytest.fixture(params=["libyaml", "python"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML: which one is there depends on how it was built."""
    monkeypatch.setattr(document, "_FastLoader", yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader)


# Not on those of hypothesis: pytest-twisted wraps such a test once more for each parameter.
on_both_parsers = pytest.mark.usefixtures("_loader")


@on_both_parsers
def test_values_and_their_lines() -> None:
    found = read(b"a: 1\n\nb:\n  c:\n  - d: x\n  - yes\n")
    assert found.value == {"a": 1, "b": {"c": [{"d": "x"}, True]}}
    assert [found.line(place) for place in [(), ("a",), ("b", "c", 0, "d"), ("b", "c", 1)]] == [1, 1, 5, 6]


@on_both_parsers
def test_the_line_of_what_is_missing_is_that_of_what_should_hold_it() -> None:
    found = read(b"a: 1\nb:\n  c: {}\n")
    assert found.line(("b", "c", "x", 3)) == 3
    assert found.line(("x",)) == 1


@on_both_parsers
def test_json_is_yaml() -> None:
    assert read(b'{"a": [1, 1.5, null, true, "\\u00e4\\/"]}').value == {"a": [1, 1.5, None, True, "ä/"]}


@on_both_parsers
def test_json_beyond_the_basic_plane() -> None:
    assert read(b'{"a": "\\ud83d\\ude00"}').value == {"a": "\N{GRINNING FACE}"}


@on_both_parsers
def test_a_key_given_twice() -> None:
    found = read(b"a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert [(fault.kind, fault.location, fault.line) for fault in found.faults] == [
        (FaultKind.DUPLICATE_KEY, ("a", "b"), 4)
    ]


@on_both_parsers
@pytest.mark.parametrize(("text", "key"), [(b"1: x", "1"), (b"on: x", "true"), (b"{1.5: x}", "1.5")])
def test_a_key_that_is_no_string(text: bytes, key: str) -> None:
    found = read(text)
    assert [(fault.kind, fault.location) for fault in found.faults] == [(FaultKind.KEY_IS_NO_STRING, (key,))]


@on_both_parsers
def test_merge_keys() -> None:
    found = read(b"p: &p {a: 1}\nq: &q {b: 2}\nz:\n  <<: [*p, *q]\n  c: 3\n")
    assert found.value["z"] == {"a": 1, "b": 2, "c": 3}
    assert found.faults == ()


@on_both_parsers
def test_an_overridden_merge_key_is_given_twice_to_kubernetes() -> None:
    found = read(b"x: &x {a: 1}\nz:\n  <<: *x\n  a: 3\n")
    assert [fault.location for fault in found.faults] == [("z", "a")]


@on_both_parsers
def test_only_the_first_document_is_read() -> None:
    found = read(b"a: 1\n---\na: {{\n")
    assert found.value == {"a": 1}
    assert found.second_document == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"", 1, "empty config data"),
        (b"# nothing\n\n", 1, "empty config data"),
        (b"a:\n\t- b\n", 2, "cannot start any token"),
        (b"a: 1\nb: *nope\n", 2, "unknown anchor 'nope' referenced"),
        (b"a: &a [*a]\n", 1, "contains itself"),
        (b"a: 1\nb: @x\n", 2, "cannot start any token"),
        (b"{a: 1} x", 1, "document"),
        (b"a: 1\n~: 2\n", 2, "a key must be a string"),
        (b"a: 1\n[x]: 2\n", 2, "a key must be a string"),
        (b"a: 1\n<<: 3\n", 2, "map merge requires"),
        (b"a: 1\n<<: [3]\n", 2, "map merge requires"),
        (b"a: \xff", 1, "not UTF-8"),
        (b"a: 1\nb: \x01", 2, "not allowed"),
        (b'a: "\\ud83d"', 1, "surrogate"),
        (b"a: 1\nb: !!int x", 2, "cannot decode `x` as a !!int"),
        (b"a:\n- {b: claims.?c}\n", 2, "?"),
        (b"a: " + b"[" * 100 + b"]" * 100, 1, "nested deeper"),
        (b"x" * (document.MAX_BYTES + 1), 1, "larger than"),
    ],
)
@on_both_parsers
def test_what_cannot_be_read(text: bytes, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(text)
    assert message in caught.value.message
    assert caught.value.line == line


@on_both_parsers
def test_a_bomb_of_aliases_ends_early() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    with pytest.raises(DocumentError, match="holds more than"):
        read("\n".join(lines).encode())


@on_both_parsers
def test_deep_nesting_is_no_crash() -> None:
    with pytest.raises(DocumentError):
        read(b"[" * 100_000)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(categories=["L", "N", "P"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_json)
def test_json_reads_as_itself(value: Any) -> None:
    assert read(json.dumps(value, ensure_ascii=True).encode()).value == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(DocumentError):
        assert read(data).line(()) >= 1
