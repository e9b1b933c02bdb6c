"""The REST verbs on stored objects: get, list, create, update, patch, delete, with dry run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kubeoidcproxy.sandbox.apiserver import patch, status
from kubeoidcproxy.sandbox.apiserver.admission import admit_change, admit_new
from kubeoidcproxy.sandbox.apiserver.bodies import (
    check_fields,
    check_name,
    check_preconditions,
    check_uid,
    dry_run,
    placed,
    read_object,
    read_patch,
)
from kubeoidcproxy.sandbox.apiserver.json_patch import json_patch
from kubeoidcproxy.sandbox.apiserver.kinds import RBAC, Resource
from kubeoidcproxy.sandbox.apiserver.lifecycle import check_namespace, terminate
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo
from kubeoidcproxy.sandbox.apiserver.selectors import field_predicate, label_predicate
from kubeoidcproxy.sandbox.apiserver.status import ApiError, Cause
from kubeoidcproxy.sandbox.apiserver.store import Object, Store

_PATCHES: dict[str, Callable[[Any, Any], Object]] = {
    patch.JSON_PATCH: json_patch,
    patch.MERGE_PATCH: patch.merge_patch,
    patch.STRATEGIC_MERGE_PATCH: patch.strategic_merge_patch,
}
# Kinds whose delete answers with the object (ReturnDeletedObject in the registries); the others give a Status.
_RETURN_DELETED = frozenset({"Pod", "ServiceAccount"})


class Objects:
    """Works on the store for one request at a time. Every method gives a code and an object."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._applied: dict[tuple[str, str], Object] = {}  # what each manager applied last, by uid

    def get(self, resource: Resource, info: RequestInfo) -> Object:
        return self._store.get(resource, info.namespace if resource.namespaced else "", info.name)

    def list(self, resource: Resource, info: RequestInfo, request: Request) -> Object:
        labels = label_predicate(request.parameter("labelSelector"))
        fields = field_predicate(request.parameter("fieldSelector"), resource.selectable)
        found = self._store.all(resource, info.namespace if resource.namespaced else "")
        items = [_untyped(item) for item in found if labels(item) and fields(item)]
        metadata = {"resourceVersion": str(self._store.revision)}
        listed = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        return listed | {"items": items}

    def create(self, resource: Resource, info: RequestInfo, request: Request) -> Object:
        item = placed(resource, info, read_object(request, resource))
        check_fields(resource, item, request)
        return self.add(resource, item, store=not dry_run(request))

    def add(self, resource: Resource, item: Object, *, store: bool = True) -> Object:
        """Store a new object."""
        if resource.namespaced:
            check_namespace(self._store, resource, item)
        admitted = admit_new(resource, item, self._now())
        return self._store.create(resource, admitted) if store else admitted

    def update(self, resource: Resource, info: RequestInfo, request: Request) -> tuple[int, Object]:
        item = placed(resource, info, read_object(request, resource))
        check_name(item, info)
        if resource.group == RBAC and self._find(resource, info) is None:  # AllowCreateOnUpdate
            return 201, self.add(resource, item, store=not dry_run(request))
        previous = self.get(resource, info)
        check_uid(resource, previous, item)
        return 200, self._change(resource, info, request, previous, item)

    def patch(self, resource: Resource, info: RequestInfo, request: Request) -> tuple[int, Object]:
        kind = request.header("content-type").partition(";")[0].strip()
        if kind not in patch.PATCH_TYPES:
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        change = read_patch(request, kind)
        if kind == patch.APPLY_PATCH:
            return self._apply(resource, info, request, change)
        previous = self.get(resource, info)
        return 200, self._change(resource, info, request, previous, _PATCHES[kind](previous, change))

    def _apply(self, resource: Resource, info: RequestInfo, request: Request, applied: Object) -> tuple[int, Object]:
        manager = request.parameter("fieldManager")
        if not manager:
            cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise status.invalid("PatchOptions", "meta.k8s.io", "", [cause])
        previous = self._find(resource, info)
        if previous is None:
            item = applied | {"metadata": {"name": info.name} | (applied.get("metadata") or {})}
            code, result = 201, self.add(resource, placed(resource, info, item), store=not dry_run(request))
        else:
            before = self._applied.get((previous["metadata"]["uid"], manager), {})
            patched = patch.apply_patch(previous, applied, before)
            code, result = 200, self._change(resource, info, request, previous, patched)
        if not dry_run(request):
            self._applied[result["metadata"]["uid"], manager] = applied
        return code, result

    def delete(self, resource: Resource, info: RequestInfo, request: Request) -> Object:
        found = self.get(resource, info)
        check_preconditions(resource, found, request)
        if dry_run(request):
            last = found
        elif resource.kind == "Namespace":
            return terminate(self._store, found, self._now())
        else:
            last = self._store.delete(resource, info.namespace if resource.namespaced else "", info.name)
        if resource.kind in _RETURN_DELETED:
            return last
        details = {"name": info.name, "kind": resource.plural, "uid": last["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _find(self, resource: Resource, info: RequestInfo) -> Object | None:
        return self._store.find(resource, info.namespace if resource.namespaced else "", info.name)

    def _change(
        self, resource: Resource, info: RequestInfo, request: Request, previous: Object, item: Object
    ) -> Object:
        check_name(item, info)
        check_fields(resource, item, request)
        return self._replace(resource, info, request, previous, item)

    def _replace(
        self, resource: Resource, info: RequestInfo, request: Request, previous: Object, item: Object
    ) -> Object:
        if info.subresource == "status":
            item = previous | {"status": item.get("status") or {}}
        else:
            item = admit_change(resource, previous, item)
        if _without_version(item) == _without_version(previous):
            return previous
        return item if dry_run(request) else self._store.replace(resource, item)


def _untyped(item: Object) -> Object:
    """Items of a list do not say their kind."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


def _without_version(item: Object) -> Object:
    return item | {"metadata": {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}}
