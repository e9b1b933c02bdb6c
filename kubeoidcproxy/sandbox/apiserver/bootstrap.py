"""What a new cluster holds before anybody writes to it: namespaces and kube's default roles, for the kinds held here.

Discovery and the self reviews are open to every authenticated user because of these bindings, as in kube, and not by
an exception in the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeoidcproxy.sandbox.apiserver.kinds import AUTHENTICATION, AUTHORIZATION, RBAC
from kubeoidcproxy.sandbox.apiserver.users import AUTHENTICATED, MASTERS, UNAUTHENTICATED

Manifest = dict[str, Any]

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")

_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY_PATHS = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_PUBLIC_PATHS)
_SELF_ACCESS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews")
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_VIEWED = ("configmaps", "events", "pods", "pods/log", "pods/status", "serviceaccounts")
_EDITED = ("configmaps", "events", "pods", "serviceaccounts")
_CONNECTED = ("pods/attach", "pods/exec", "pods/portforward")


def bootstrap_manifests() -> Iterator[Manifest]:
    """Namespaces first: what follows may live in them."""
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, rules in _ROLES.items():
        yield _object("ClusterRole", name, rules=list(rules))
    yield _binding("cluster-admin", "cluster-admin", MASTERS)
    yield _binding("system:basic-user", "system:basic-user", AUTHENTICATED)
    yield _binding("system:discovery", "system:discovery", AUTHENTICATED)
    yield _binding("system:public-info-viewer", "system:public-info-viewer", AUTHENTICATED, UNAUTHENTICATED)


def _object(kind: str, name: str, **fields: Any) -> Manifest:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name, "labels": labels}, **fields}


def _binding(name: str, role: str, *groups: str) -> Manifest:
    subjects = [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups]
    role_ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    return _object("ClusterRoleBinding", name, subjects=subjects, roleRef=role_ref)


def _rule(group: str, resources: tuple[str, ...], verbs: tuple[str, ...]) -> Manifest:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _paths(paths: tuple[str, ...]) -> Manifest:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


_VIEW = (_rule("", (*_VIEWED, "namespaces"), _READ), _rule("apps", ("deployments", "deployments/status"), _READ))
_EDIT = (
    *_VIEW,
    _rule("", _CONNECTED, ("get", *_WRITE)),
    _rule("", _EDITED, _WRITE),
    _rule("", ("secrets",), (*_READ, *_WRITE)),
    _rule("", ("serviceaccounts/token",), ("create",)),
    _rule("", ("serviceaccounts",), ("impersonate",)),
    _rule("apps", ("deployments",), _WRITE),
)
_ADMIN = (
    *_EDIT,
    _rule(AUTHORIZATION, ("localsubjectaccessreviews",), ("create",)),
    _rule(RBAC, ("rolebindings", "roles"), (*_READ, *_WRITE)),
)
_ROLES: dict[str, tuple[Manifest, ...]] = {
    "cluster-admin": (_rule("*", ("*",), ("*",)), {"nonResourceURLs": ["*"], "verbs": ["*"]}),
    "admin": _ADMIN,
    "edit": _EDIT,
    "view": _VIEW,
    "system:basic-user": (
        _rule(AUTHORIZATION, _SELF_ACCESS, ("create",)),
        _rule(AUTHENTICATION, ("selfsubjectreviews",), ("create",)),
    ),
    "system:discovery": (_paths(_DISCOVERY_PATHS),),
    "system:public-info-viewer": (_paths(_PUBLIC_PATHS),),
}
