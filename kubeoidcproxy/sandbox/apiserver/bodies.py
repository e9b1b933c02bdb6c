"""Bodies of requests: read as objects and patches, and checked against the request they came with."""

from __future__ import annotations

import json
from typing import Any

import yaml

from kubeoidcproxy.sandbox.apiserver import patch, status
from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.protobuf import MEDIA_TYPE as PROTOBUF
from kubeoidcproxy.sandbox.apiserver.protobuf import decode
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo
from kubeoidcproxy.sandbox.apiserver.resources import find_kind
from kubeoidcproxy.sandbox.apiserver.store import Object


def read_object(request: Request, resource: Resource) -> Object:
    """The body as an object of this kind: JSON, YAML, or the protobuf that kubectl sends from 1.32."""
    kind = request.header("content-type").partition(";")[0].strip() or "application/json"
    try:
        item = decode(request.body) if kind == PROTOBUF else _read_text(kind, request.body)
    except (ValueError, yaml.YAMLError) as error:
        unrecognized = f"the object provided is unrecognized (must be of type {resource.kind})"
        why = f"couldn't get version/kind; json parse error: {error}"
        raise status.bad_request(f"{unrecognized}: {why}") from error
    if not isinstance(item, dict) or not isinstance(item.get("metadata") or {}, dict):
        raise status.bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    _check_kind(resource, item)
    return item | {"metadata": dict(item.get("metadata") or {})}


def _check_kind(resource: Resource, item: Object) -> None:
    version, kind = item.get("apiVersion", resource.api_version), item.get("kind", resource.kind)
    if (version, kind) == (resource.api_version, resource.kind):
        return
    if find_kind(version, kind) is None:
        why = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
    else:
        package = resource.group.partition(".")[0] or "core"
        why = f"converting ({version.rpartition('/')[2]}.{kind}) to ({package}.{resource.kind}): unknown conversion"
    raise status.bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')


def _read_text(kind: str, body: bytes) -> Any:
    if kind == "application/json":
        return json.loads(body)
    if kind == "application/yaml":
        return yaml.safe_load(body)
    raise status.unsupported_media_type(f"application/json, application/yaml, {PROTOBUF}")


def read_patch(request: Request, kind: str) -> Any:
    try:
        change = yaml.safe_load(request.body) if kind == patch.APPLY_PATCH else json.loads(request.body)
    except (ValueError, yaml.YAMLError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if not isinstance(change, list if kind == patch.JSON_PATCH else dict):
        is_list = isinstance(change, list)
        target = "map[string]interface {}" if is_list else "[]handlers.jsonPatchOp"
        found = "array" if is_list else "object"
        raise status.bad_request(f"error decoding patch: json: cannot unmarshal {found} into Go value of type {target}")
    return change


def placed(resource: Resource, info: RequestInfo, item: Object) -> Object:
    if not resource.namespaced:
        return item
    metadata = item["metadata"]
    if metadata.get("namespace", info.namespace) not in ("", info.namespace):
        message = "the namespace of the provided object does not match the namespace sent on the request"
        raise status.bad_request(message)
    return item | {"metadata": metadata | {"namespace": info.namespace}}


def check_name(item: Object, info: RequestInfo) -> None:
    name = item["metadata"].get("name", "")
    if name != info.name:
        raise status.bad_request(f"the name of the object ({name}) does not match the name on the URL ({info.name})")


def check_fields(resource: Resource, item: Object, request: Request) -> None:
    """``fieldValidation=Strict``, which kubectl asks for instead of looking itself."""
    unknown = _unknown_fields(resource, item)
    if unknown and request.parameter("fieldValidation") == "Strict":
        errors = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise status.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {errors}"
        )


def check_preconditions(resource: Resource, found: Object, request: Request) -> None:
    """``preconditions.uid`` of DeleteOptions."""
    if not request.body.startswith(b"{"):
        return
    wanted = (json.loads(request.body).get("preconditions") or {}).get("uid")
    held = found["metadata"]["uid"]
    if wanted and wanted != held:
        why = (
            f"the UID in the precondition ({wanted}) does not match the UID in record ({held}). "
            "The object might have been deleted and then recreated"
        )
        raise status.conflict(resource.kind, resource.group, found["metadata"]["name"], why)


def check_uid(resource: Resource, found: Object, item: Object) -> None:
    """An update that names a uid is meant for that object, not for a later one of the same name."""
    wanted, held = item["metadata"].get("uid"), found["metadata"]["uid"]
    if wanted and wanted != held:
        metadata = found["metadata"]
        key = "/".join(filter(None, ("/registry", resource.plural, metadata.get("namespace"), metadata["name"])))
        why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {held}"
        error = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
        raise status.conflict(resource.plural, resource.group, metadata["name"], error)


def dry_run(request: Request) -> bool:
    return request.parameter("dryRun") == "All"


def _unknown_fields(resource: Resource, item: Object) -> list[str]:
    """Top-level fields that the kind lacks; kube looks deeper."""
    known = {"apiVersion", "kind", "metadata", *resource.fields}
    return [field for field in item if field not in known]
