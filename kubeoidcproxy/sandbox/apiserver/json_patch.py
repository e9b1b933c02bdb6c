"""JSON patch (RFC 6902)."""

from __future__ import annotations

import copy
from typing import Any

from kubeoidcproxy.sandbox.apiserver.status import ApiError


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902."""
    document = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise _json_patch_failed() from error
    return document


def _json_patch_failed() -> ApiError:
    """kube tells the client nothing of the why."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    name, path = operation["op"], _pointer(operation["path"])
    if name == "test":
        if _at(document, path) != operation.get("value"):
            raise _json_patch_failed()
        return document
    if name in ("move", "copy"):
        value = copy.deepcopy(_at(document, _pointer(operation["from"])))
        document = _remove(document, _pointer(operation["from"])) if name == "move" else document
        return _add(document, path, value)
    if name == "remove":
        return _remove(document, path)
    if name == "replace":
        _at(document, path)
        return _add(_remove(document, path), path, operation["value"]) if path else operation["value"]
    if name == "add":
        return _add(document, path, operation["value"])
    raise _json_patch_failed()


def _pointer(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _at(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else int(path[-1]), value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    parent = _at(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return document
