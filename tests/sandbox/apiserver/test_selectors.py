"""Label and field selectors."""

from __future__ import annotations

import pytest

from kubeoidcproxy.sandbox.apiserver.selectors import field_predicate, label_predicate, name_in_field_selector
from kubeoidcproxy.sandbox.apiserver.status import ApiError

ITEM = {"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web", "tier": "front"}}}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app=api", False),
        ("app!=web", False),
        ("app", True),
        ("!app", False),
        ("!other", True),
        ("app in (web, api),tier notin (back)", True),
        ("app in (api)", False),
    ],
)
def test_labels(selector: str, matches: bool) -> None:
    assert label_predicate(selector)(ITEM) is matches


@pytest.mark.parametrize(
    ("selector", "matches"), [("metadata.name=web", True), ("metadata.name!=web", False), ("metadata.name=x", False)]
)
def test_fields(selector: str, matches: bool) -> None:
    assert field_predicate(selector)(ITEM) is matches


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ApiError, match="is not a known field selector"):
        field_predicate("data.x=1")
    assert not field_predicate("spec.nodeName=n1", ("spec.nodeName",))(ITEM)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ApiError, match="can't understand 'foo'"):
        field_predicate("foo")
    with pytest.raises(ApiError, match="found '=='"):
        label_predicate("==")


@pytest.mark.parametrize(
    ("selector", "name"), [("metadata.name=web", "web"), ("metadata.name!=web", ""), ("foo", ""), ("", "")]
)
def test_the_name_that_authorisation_sees(selector: str, name: str) -> None:
    assert name_in_field_selector(selector) == name
