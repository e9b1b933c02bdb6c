"""Defaults, as the API server sets them, and the status that scheduler and kubelet would give to a pod."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from kubeoidcproxy.sandbox.apiserver.kinds import RBAC, Resource
from kubeoidcproxy.sandbox.apiserver.store import Object

_POD_SPEC = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "nodeName": "sandbox",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": 30,
}
_POD_STATUS = {
    "phase": "Running",
    "hostIP": "127.0.0.1",
    "podIP": "127.0.0.1",
    "podIPs": [{"ip": "127.0.0.1"}],
    "qosClass": "BestEffort",
}


def timestamp(now: datetime) -> str:
    """Kubernetes times have whole seconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def defaulted(resource: Resource, item: Object) -> Object:
    """The object with what it leaves out."""
    if resource.kind == "Pod":
        return _running_pod(item)
    if resource.kind == "Namespace":
        given, name = item["metadata"].get("labels") or {}, item["metadata"].get("name")
        item["metadata"]["labels"] = {**given, "kubernetes.io/metadata.name": name}
        phase = "Terminating" if "deletionTimestamp" in item["metadata"] else "Active"
        return item | {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": phase}}
    if resource.group == RBAC:
        return _defaulted_rbac(item)
    if resource.kind == "Deployment":
        return item | {"spec": {"replicas": 1, **(item.get("spec") or {})}, "status": item.get("status") or {}}
    if resource.kind == "Secret":
        return _encoded_secret(item)
    return item


def _encoded_secret(item: Object) -> Object:
    """``stringData`` is for writing only: what it says is found in ``data`` (``SetDefaults_Secret`` and conversion)."""
    written = {name: b64encode(text.encode()).decode() for name, text in (item.get("stringData") or {}).items()}
    kept = {name: value for name, value in item.items() if name != "stringData"}
    data = {**(item.get("data") or {}), **written}
    return kept | {"type": item.get("type") or "Opaque"} | ({"data": data} if data else {})


def _defaulted_rbac(item: Object) -> Object:
    """``rbac/v1/defaults.go``: users and groups and the role are in RBAC's own API group."""
    changed = dict(item)
    if "roleRef" in item:
        role_ref = item["roleRef"] or {}
        changed["roleRef"] = {**role_ref, "apiGroup": role_ref.get("apiGroup") or RBAC}
    if item.get("subjects"):
        groups = {"User": {"apiGroup": RBAC}, "Group": {"apiGroup": RBAC}}
        changed["subjects"] = [groups.get(subject.get("kind", ""), {}) | subject for subject in item["subjects"]]
    return changed


def _running_pod(item: Object) -> Object:
    """A pod is Running as soon as it exists: there is no scheduler and no kubelet to wait for."""
    spec = _POD_SPEC | (item.get("spec") or {})
    started = item["metadata"]["creationTimestamp"]
    containers = [_running_container(container, started) for container in spec.get("containers") or ()]
    conditions = [_condition(name, started) for name in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]
    running = {"conditions": conditions, "startTime": started, "containerStatuses": containers}
    return item | {"spec": spec, "status": _POD_STATUS | running | (item.get("status") or {})}


def _condition(name: str, since: str) -> dict[str, Any]:
    return {"type": name, "status": "True", "lastProbeTime": None, "lastTransitionTime": since}


def _running_container(container: dict[str, Any], started: str) -> dict[str, Any]:
    image = container.get("image", "")
    running = {"state": {"running": {"startedAt": started}}, "lastState": {}, "ready": True, "started": True}
    return {"name": container.get("name"), "image": image, "imageID": image, "restartCount": 0} | running
