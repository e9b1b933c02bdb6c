"""Merge, strategic merge and apply patches."""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.sandbox.apiserver.patch import apply_patch, merge_patch, strategic_merge_patch

A, B = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": None, "c": 3}, {"a": 1, "c": 3}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(target, patch) == expected


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        (
            {"containers": [A, B]},
            {"containers": [{"name": "b", "image": "2"}]},
            {"containers": [A, B | {"image": "2"}]},
        ),
        ({"containers": [A]}, {"containers": [B]}, {"containers": [A, B]}),
        ({"containers": [A, B]}, {"containers": [{"name": "a", "$patch": "delete"}]}, {"containers": [B]}),
        ({"containers": [A]}, {"containers": [B, {"$patch": "replace"}]}, {"containers": [B]}),
        (
            {"containers": [A, B]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            {"containers": [B, A]},
        ),
        ({"finalizers": ["x"]}, {"finalizers": ["y"]}, {"finalizers": ["x", "y"]}),
        ({"finalizers": ["x", "y"]}, {"$deleteFromPrimitiveList/finalizers": ["x"]}, {"finalizers": ["y"]}),
        ({"subjects": [1]}, {"subjects": [2]}, {"subjects": [2]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"$retainKeys": ["c"], "c": 3}}, {"a": {"c": 3}}),
        ({"a": {"b": 1}}, {"a": {"$patch": "replace", "c": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": None}, {}),
    ],
)
def test_strategic_merge_patch(target: Any, patch: Any, expected: Any) -> None:
    assert strategic_merge_patch(target, patch) == expected


def test_apply_takes_out_what_the_manager_does_not_apply_any_more() -> None:
    target = {"data": {"a": "1", "b": "1", "of others": "1"}, "containers": [A, B]}
    before = {"data": {"a": "1", "b": "1"}, "containers": [A]}
    applied: dict[str, Any] = {"data": {"b": "2"}, "containers": []}
    assert apply_patch(target, applied, before) == {"data": {"b": "2", "of others": "1"}, "containers": [B]}


def test_patches_leave_their_target_alone() -> None:
    target = {"containers": [A], "a": {"b": 1}}
    strategic_merge_patch(target, {"containers": [B], "a": {"b": 2}})
    assert target == {"containers": [A], "a": {"b": 1}}
