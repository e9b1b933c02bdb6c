"""Ways to patch an object: merge patch, strategic merge patch and a simplified apply patch."""

from __future__ import annotations

from typing import Any

from kubeoidcproxy.sandbox.apiserver.status import bad_request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)

# The patchMergeKey tags of the kinds held here (k8s.io/api/core/v1/types.go). A list that is not named is replaced.
_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "secrets": "name",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_MERGED_PRIMITIVES = frozenset({"finalizers"})


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge_patch(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """kube's own merge: lists of objects by key, with the ``$`` directives of ``strategicpatch``."""
    directive = patch.get("$patch")
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "delete":
        return {}
    if directive == "replace":
        return plain
    merged = _retained(dict(target) if isinstance(target, dict) else {}, patch.get("$retainKeys"))
    for key, value in plain.items():
        _merge_field(merged, key, value)
    for key, value in patch.items():
        _apply_list_directive(merged, key, value)
    return merged


def apply_patch(target: Any, applied: dict[str, Any], applied_before: Any) -> dict[str, Any]:
    """Server-side apply, simplified: what the same manager applied before and does not apply now is taken out, what it
    applies is merged in. There are no conflicts with other managers.
    """
    return strategic_merge_patch(_without_dropped(target, applied_before, applied), applied)


def _without_dropped(target: Any, before: Any, now: Any) -> Any:
    if not (isinstance(target, dict) and isinstance(before, dict) and isinstance(now, dict)):
        return target
    kept = {key: value for key, value in target.items() if key in now or key not in before}
    return {key: _without_dropped_field(key, value, before.get(key), now.get(key)) for key, value in kept.items()}


def _without_dropped_field(field: str, target: Any, before: Any, now: Any) -> Any:
    merge_key = _MERGE_KEYS.get(field)
    if merge_key is None or not (isinstance(target, list) and isinstance(before, list) and isinstance(now, list)):
        return _without_dropped(target, before, now)
    old, new = ({item.get(merge_key): item for item in items} for items in (before, now))
    return [
        _without_dropped(item, old.get(item.get(merge_key)), new.get(item.get(merge_key)))
        for item in target
        if item.get(merge_key) in new or item.get(merge_key) not in old
    ]


def _retained(target: dict[str, Any], keys: list[str] | None) -> dict[str, Any]:
    return target if keys is None else {key: value for key, value in target.items() if key in keys}


def _merge_field(merged: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = strategic_merge_patch(merged.get(key), value)
    elif isinstance(value, list) and key in _MERGE_KEYS:
        merged[key] = _merge_list(merged.get(key) or [], value, _MERGE_KEYS[key])
    elif isinstance(value, list) and key in _MERGED_PRIMITIVES:
        present = merged.get(key) or []
        merged[key] = [*present, *(item for item in value if item not in present)]
    else:
        merged[key] = value


def _merge_list(present: list[Any], patches: list[Any], merge_key: str) -> list[Any]:
    if any(patch.get("$patch") == "replace" for patch in patches):
        return [patch for patch in patches if "$patch" not in patch]
    items = {item.get(merge_key): item for item in present}
    for patch in patches:
        if merge_key not in patch:
            raise bad_request(f"map: {patch} does not contain declared merge key: {merge_key}")
        if patch.get("$patch") == "delete":
            items.pop(patch[merge_key], None)
        else:
            items[patch[merge_key]] = strategic_merge_patch(items.get(patch[merge_key]), patch)
    return list(items.values())


def _apply_list_directive(merged: dict[str, Any], key: str, value: Any) -> None:
    directive, _, field = key.partition("/")
    present = merged.get(field)
    if not isinstance(present, list):
        return
    if directive == "$deleteFromPrimitiveList":
        merged[field] = [item for item in present if item not in value]
    elif directive == "$setElementOrder":
        merged[field] = _ordered(present, value, _MERGE_KEYS.get(field))


def _ordered(present: list[Any], order: list[Any], merge_key: str | None) -> list[Any]:
    """Named elements in the order given, the server's own ones after them."""
    if merge_key is None:
        return [item for item in order if item in present] + [item for item in present if item not in order]
    wanted = [element.get(merge_key) for element in order]
    place = {key: index for index, key in enumerate(wanted)}
    return sorted(present, key=lambda item: place.get(item.get(merge_key), len(wanted)))
