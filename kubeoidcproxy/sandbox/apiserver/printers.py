"""The columns of each kind, and what stands in them (``printers/internalversion`` of kube-apiserver). A leading ``+``
marks a column that only ``-o wide`` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeoidcproxy.sandbox.apiserver.store import Object

Printer = tuple[tuple[str, ...], Callable[[Object, str], list[Any]]]


def _pod_cells(item: Object, aged: str) -> list[Any]:
    state = item.get("status") or {}
    containers = state.get("containerStatuses") or []
    ready = f"{sum(bool(c.get('ready')) for c in containers)}/{len(item['spec'].get('containers') or [])}"
    restarts = str(sum(c.get("restartCount", 0) for c in containers))
    wide = [state.get("podIP", "<none>"), item["spec"].get("nodeName", "<none>"), "<none>", "<none>"]
    return [item["metadata"]["name"], ready, state.get("phase", ""), restarts, aged, *wide]


def _configmap_cells(item: Object, aged: str) -> list[Any]:
    return [item["metadata"]["name"], len(item.get("data") or ()) + len(item.get("binaryData") or ()), aged]


def _secret_cells(item: Object, aged: str) -> list[Any]:
    return [item["metadata"]["name"], item["type"], len(item.get("data") or ()), aged]


def _deployment_cells(item: Object, aged: str) -> list[Any]:
    state, spec = item.get("status") or {}, item["spec"]
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    wide = [
        ",".join(container.get("name", "") for container in containers),
        ",".join(container.get("image", "") for container in containers),
        ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or "<none>",
    ]
    ready = f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    updated, available = state.get("updatedReplicas", 0), state.get("availableReplicas", 0)
    return [item["metadata"]["name"], ready, updated, available, aged, *wide]


def _binding_cells(item: Object, aged: str) -> list[Any]:
    role = f"{item['roleRef'].get('kind', '')}/{item['roleRef'].get('name', '')}"
    subjects = [_subjects(item, kind) for kind in ("User", "Group", "ServiceAccount")]
    return [item["metadata"]["name"], role, aged, *subjects]


def _subjects(item: Object, kind: str) -> str:
    found = [subject for subject in item.get("subjects") or () if subject.get("kind") == kind]
    return ", ".join(_subject(subject) for subject in found)


def _subject(subject: Mapping[str, str]) -> str:
    return (
        f"{subject.get('namespace', '')}/{subject['name']}" if subject["kind"] == "ServiceAccount" else subject["name"]
    )


def _default_cells(item: Object, aged: str) -> list[Any]:
    return [item["metadata"]["name"], item["metadata"].get("creationTimestamp", "")]


def _event_cells(item: Object, aged: str) -> list[Any]:
    about = item.get("involvedObject") or {}
    subject = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    return [aged, item.get("type", ""), item.get("reason", ""), subject, item.get("message", "")]


_POD_COLUMNS = ("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates")
_BINDING_COLUMNS = ("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts")
DEFAULT_PRINTER: Printer = (("Name", "Created At"), _default_cells)
PRINTERS: dict[str, Printer] = {
    "Pod": (_POD_COLUMNS, _pod_cells),
    "ConfigMap": (("Name", "Data", "Age"), _configmap_cells),
    "Secret": (("Name", "Type", "Data", "Age"), _secret_cells),
    "Deployment": (
        ("Name", "Ready", "Up-to-date", "Available", "Age", "+Containers", "+Images", "+Selector"),
        _deployment_cells,
    ),
    "Namespace": (
        ("Name", "Status", "Age"),
        lambda item, aged: [item["metadata"]["name"], item["status"]["phase"], aged],
    ),
    "ServiceAccount": (("Name", "Age"), lambda item, aged: [item["metadata"]["name"], aged]),
    "RoleBinding": (_BINDING_COLUMNS, _binding_cells),
    "ClusterRoleBinding": (_BINDING_COLUMNS, _binding_cells),
    "Event": (("Last Seen", "Type", "Reason", "Object", "Message"), _event_cells),
}
