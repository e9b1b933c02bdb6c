"""What happens to an object on its way into the store: metadata that the system sets, defaults, checks."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime

from kubeoidcproxy.sandbox.apiserver.defaults import defaulted, timestamp
from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.store import Object
from kubeoidcproxy.sandbox.apiserver.validation import check_pod_change, check_role_ref, validate

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # of apimachinery's rand.String: no vowels, no words
_SET_BY_SYSTEM = frozenset({"creationTimestamp", "deletionTimestamp", "generation", "name", "namespace", "uid"})


def admit_new(resource: Resource, item: Object, now: datetime) -> Object:
    """A new object as it will be stored; 422 where it is wrong."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("managedFields", "selfLink")}
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(now)}
    if resource.kind in ("Deployment", "Pod"):
        metadata["generation"] = 1
    admitted = defaulted(resource, {**_typed(resource, item), "metadata": metadata})
    validate(resource, admitted)
    return admitted


def admit_change(resource: Resource, previous: Object, item: Object) -> Object:
    """A changed object: what the system set stays, and so does the status (it has a path of its own)."""
    kept = {key: value for key, value in previous["metadata"].items() if key in _SET_BY_SYSTEM}
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"} | kept
    changed = {**_typed(resource, item), "metadata": metadata}
    if "status" in resource.fields:
        changed["status"] = previous.get("status", {})
    changed = defaulted(resource, changed)
    validate(resource, changed)
    check_role_ref(resource, previous, changed)
    if resource.kind == "Pod":
        check_pod_change(previous, changed)
    if "generation" in metadata and changed.get("spec") != previous.get("spec"):
        metadata["generation"] += 1
    return changed


def _typed(resource: Resource, item: Object) -> Object:
    return {"kind": resource.kind, "apiVersion": resource.api_version} | {
        field: value for field, value in item.items() if field in resource.fields
    }
