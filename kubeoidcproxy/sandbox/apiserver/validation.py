"""Checks of objects, with the texts of kube's validation."""

from __future__ import annotations

import json
import re
from typing import Any

from kubeoidcproxy.sandbox.apiserver import status
from kubeoidcproxy.sandbox.apiserver.kinds import RBAC, Resource
from kubeoidcproxy.sandbox.apiserver.status import Cause
from kubeoidcproxy.sandbox.apiserver.store import Object

_SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_CHANGEABLE_POD_FIELDS = frozenset({"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"})
_POD_UPDATE_TEXT = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)


def validate(resource: Resource, item: Object) -> None:
    """Raise 422 with every cause."""
    causes = [*_name_causes(resource, item["metadata"].get("name") or ""), *_spec_causes(resource, item)]
    if causes:
        raise status.invalid(resource.kind, resource.group, item["metadata"].get("name") or "", causes)


def check_role_ref(resource: Resource, previous: Object, item: Object) -> None:
    """A binding's role cannot be changed."""
    if previous.get("roleRef") == item.get("roleRef"):
        return
    role_ref = item["roleRef"]
    shown = json.dumps(
        {"APIGroup": role_ref["apiGroup"], "Kind": role_ref["kind"], "Name": role_ref["name"]}, separators=(",", ":")
    )
    cause = Cause("FieldValueInvalid", f"Invalid value: {shown}: cannot change roleRef", "roleRef")
    raise status.invalid(resource.kind, resource.group, item["metadata"]["name"], [cause])


def check_pod_change(previous: Object, item: Object) -> None:
    """Of a pod's spec only little may change (``ValidatePodUpdate``); kube shows the difference too."""
    if _fixed_part(previous["spec"]) != _fixed_part(item["spec"]):
        raise status.invalid(
            "Pod", "", item["metadata"]["name"], [Cause("FieldValueForbidden", _POD_UPDATE_TEXT, "spec")]
        )


def _fixed_part(spec: dict[str, Any]) -> dict[str, Any]:
    fixed = {key: value for key, value in spec.items() if key not in _CHANGEABLE_POD_FIELDS}
    containers = [{k: v for k, v in container.items() if k != "image"} for container in spec.get("containers") or ()]
    return fixed | {"containers": containers}


def _name_causes(resource: Resource, name: str) -> list[Cause]:
    if not name:
        return [_required("metadata.name", "name or generateName is required")]
    if resource.group == RBAC:  # path segment names: "system:…" is good
        return []
    pattern, text = (_LABEL, _LABEL_TEXT) if resource.kind == "Namespace" else (_SUBDOMAIN, _SUBDOMAIN_TEXT)
    if re.fullmatch(pattern, name):
        return []
    return [Cause("FieldValueInvalid", f"Invalid value: {json.dumps(name)}: {text}", "metadata.name")]


def _spec_causes(resource: Resource, item: Object) -> list[Cause]:
    if resource.kind == "Pod":
        return _container_causes("spec", item["spec"])
    if resource.kind == "Deployment":
        template = item["spec"].get("template") or {}
        return [
            *_selector_causes(item["spec"], template),
            *_container_causes("spec.template.spec", template.get("spec") or {}),
        ]
    return _role_ref_causes(item) if "roleRef" in resource.fields else []


def _role_ref_causes(item: Object) -> list[Cause]:
    role_ref = item.get("roleRef") or {}
    kinds = ("ClusterRole",) if item["kind"] == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if role_ref.get("kind") not in kinds:
        supported = ", ".join(f'"{kind}"' for kind in kinds)
        text = f'Unsupported value: "{role_ref.get("kind", "")}": supported values: {supported}'
        return [Cause("FieldValueNotSupported", text, "roleRef.kind")]
    return [] if role_ref.get("name") else [_required("roleRef.name")]


def _container_causes(path: str, spec: dict[str, Any]) -> list[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        return [_required(f"{path}.containers")]
    return [
        cause
        for index, container in enumerate(containers)
        for cause in _one_container_causes(f"{path}.containers[{index}]", container)
    ]


def _one_container_causes(path: str, container: dict[str, Any]) -> list[Cause]:
    causes = [_required(f"{path}.{field}") for field in ("name", "image") if not container.get(field)]
    if container.get("name") and not re.fullmatch(_LABEL, container["name"]):
        text = f"Invalid value: {json.dumps(container['name'])}: {_LABEL_TEXT}"
        causes.append(Cause("FieldValueInvalid", text, f"{path}.name"))
    return causes


def _selector_causes(spec: dict[str, Any], template: dict[str, Any]) -> list[Cause]:
    labels = (template.get("metadata") or {}).get("labels")
    wanted = (spec.get("selector") or {}).get("matchLabels") or {}
    causes = [] if spec.get("selector") else [_required("spec.selector")]
    if not wanted or any((labels or {}).get(key) != value for key, value in wanted.items()):
        shown = json.dumps(labels, separators=(",", ":"))
        text = f"Invalid value: {shown}: `selector` does not match template `labels`"
        causes.append(Cause("FieldValueInvalid", text, "spec.template.metadata.labels"))
    return causes


def _required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {why}" if why else "Required value", field)
