"""Objects and their changes."""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.sandbox.apiserver import store as store_module
from kubeoidcproxy.sandbox.apiserver.resources import resource
from kubeoidcproxy.sandbox.apiserver.status import ApiError
from kubeoidcproxy.sandbox.apiserver.store import Event, Store

PODS, CONFIGMAPS = resource("", "pods"), resource("", "configmaps")


def item(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, **more}


def test_revisions_grow_over_all_kinds() -> None:
    store = Store()
    first, second = store.create(PODS, item("a")), store.create(CONFIGMAPS, item("a"))
    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1
    assert store.revision == int(second["metadata"]["resourceVersion"])


def test_listing_by_namespace_in_the_order_of_keys() -> None:
    store = Store()
    for name, namespace in (("b", "shop"), ("a", "shop"), ("a", "office")):
        store.create(PODS, item(name, namespace))
    keys = [(found["metadata"]["namespace"], found["metadata"]["name"]) for found in store.all(PODS)]
    assert keys == [("office", "a"), ("shop", "a"), ("shop", "b")]
    assert len(store.all(PODS, "shop")) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda store: store.get(PODS, "shop", "none"), 404),
        (lambda store: store.create(PODS, item("a")), 409),
        (lambda store: store.delete(PODS, "shop", "none"), 404),
        (lambda store: store.replace(PODS, {"metadata": {**item("a")["metadata"], "resourceVersion": "1"}}), 409),
    ],
)
def test_refusals(change: Any, code: int) -> None:
    store = Store()
    store.create(PODS, item("a"))
    with pytest.raises(ApiError) as caught:
        change(store)
    assert caught.value.code == code


def test_listeners_hear_every_change_until_they_stop() -> None:
    store, heard = Store(), list[Event]()
    stop = store.listen(heard.append)
    store.create(PODS, item("a"))
    store.replace(PODS, item("a", x=1))
    store.delete(PODS, "shop", "a")
    stop()
    store.create(PODS, item("b"))
    assert [event.type for event in heard] == ["ADDED", "MODIFIED", "DELETED"]
    assert heard[2].item["metadata"]["resourceVersion"] == str(heard[2].revision)


def test_the_past_can_be_asked_for_while_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HISTORY", 3)
    store = Store()
    store._history = type(store._history)(maxlen=3)
    start = store.revision
    for name in "abc":
        store.create(PODS, item(name))
    assert [event.item["metadata"]["name"] for event in store.since(PODS, start)] == ["a", "b", "c"]
    assert [event.item["metadata"]["name"] for event in store.since(PODS, start + 2)] == ["c"]
    store.create(PODS, item("d"))
    with pytest.raises(ApiError, match="too old resource version"):
        store.since(PODS, start)
