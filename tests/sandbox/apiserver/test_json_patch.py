"""JSON patch."""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.sandbox.apiserver.json_patch import json_patch
from kubeoidcproxy.sandbox.apiserver.status import ApiError


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/b", "value": 2}, {"a": [1], "b": 2}),
        ({"op": "add", "path": "/a/0", "value": 0}, {"a": [0, 1]}),
        ({"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
        ({"op": "add", "path": "/x~1y~0z", "value": 1}, {"a": [1], "x/y~z": 1}),
        ({"op": "remove", "path": "/a"}, {}),
        ({"op": "replace", "path": "/a/0", "value": 5}, {"a": [5]}),
        ({"op": "replace", "path": "", "value": {}}, {}),
        ({"op": "test", "path": "/a/0", "value": 1}, {"a": [1]}),
        ({"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"op": "move", "from": "/a", "path": "/b"}, {"b": [1]}),
    ],
)
def test_operation(operation: dict[str, Any], expected: Any) -> None:
    assert json_patch({"a": [1]}, [operation]) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a/0", "value": 2},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/none/x", "value": 1},
        {"op": "nonsense", "path": "/a"},
        {"path": "/a"},
        {"op": "remove", "path": ""},
    ],
)
def test_what_cannot_be_done_is_422(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({"a": [1]}, [operation])
    assert caught.value.code == 422
