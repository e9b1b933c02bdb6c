"""The world of the sandbox: who is who, what the clusters hold and who may do what there.

The manifests are plain objects, the same for the API server stand-ins and for real API servers. They are written for
the user names and groups that come out of the proxy, prefixes included: ``oidc:`` for people, ``ci:`` for the jobs of
a CI system, ``pipeline:`` for pipelines that sign their own tokens.
"""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

CLUSTERS = ("dev", "prod")
NAMESPACE = "shop"
POD = "web-0"
CONTAINER = "main"
DEPLOYMENT = "shop"
"""What the pipeline of the demonstration deploys."""

PROXY_NAMESPACE = "kubeoidcproxy"
PROXY_ACCOUNT = "proxy"

AUDIENCE = "kubernetes"
PEOPLE_PREFIX = "oidc:"
CI_PREFIX = "ci:"
PIPELINE_PREFIX = "pipeline:"
CI_OWNER = "4711"
"""``repository_owner_id`` of the one owner whose jobs are let in: the issuer signs for everybody."""
CI_SUBJECT = "repo:acme/shop:ref:refs/heads/main"
PIPELINE_ISSUER = "urn:remote-pipeline"
PIPELINE_SUBJECT = "deployer"

DEVELOPERS = f"{PEOPLE_PREFIX}devs"
ADMINISTRATORS = f"{PEOPLE_PREFIX}admins"
DEPLOYERS = (f"{PIPELINE_PREFIX}{PIPELINE_SUBJECT}", f"{CI_PREFIX}{CI_SUBJECT}")

_RBAC = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")


def server_name(cluster: str) -> str:
    """The name by which TLS clients ask the proxy for a cluster."""
    return f"{cluster}.k8s.sandbox.test"


def manifests() -> list[Manifest]:
    """What a cluster of the sandbox holds, in an order in which it can be created."""
    rights = (*_proxy_rights(), *_developer_rights(), *_deployer_rights(), *_administrator_rights())
    return [*_namespaces(), *rights, pod()]


def pod(name: str = POD) -> Manifest:
    """A pod of the shop; its image is never pulled."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": "shop"}}
    containers = [{"name": CONTAINER, "image": "shop.sandbox.test/web:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def deployment(name: str = DEPLOYMENT) -> Manifest:
    """A deployment as a pipeline applies it."""
    labels = {"app": name}
    containers = [{"name": CONTAINER, "image": "shop.sandbox.test/web:2"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _namespaces() -> list[Manifest]:
    names = (PROXY_NAMESPACE, NAMESPACE)
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]


def _proxy_rights() -> list[Manifest]:
    """The proxy's own account may speak for others and nothing else."""
    metadata = {"name": PROXY_ACCOUNT, "namespace": PROXY_NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        _role(
            "impersonator",
            _rule("", "users groups serviceaccounts", ("impersonate",)),
            _rule("authentication.k8s.io", "uids", ("impersonate",)),
        ),
        _binding("impersonator", {"kind": "ServiceAccount", "name": PROXY_ACCOUNT, "namespace": PROXY_NAMESPACE}),
    ]


def _developer_rights() -> list[Manifest]:
    return [
        _role(
            "developer",
            _rule("", "pods pods/log", (*_READ, "create", "delete", "patch", "update")),
            _rule("", "pods/exec pods/attach pods/portforward", ("get", "create")),
            _rule("", "services", ("get", "list")),
            _rule("", "configmaps", ("*",)),
            _rule("apps", "deployments", ("*",)),
            namespace=NAMESPACE,
        ),
        _binding("developer", _subject("Group", DEVELOPERS), namespace=NAMESPACE),
        _role("namespace-viewer", _rule("", "namespaces", _READ)),
        _binding("namespace-viewer", _subject("Group", DEVELOPERS)),
    ]


def _deployer_rights() -> list[Manifest]:
    """What a pipeline needs to apply its manifests: no secrets, no pods, nothing to delete."""
    verbs = (*_READ, "create", "patch", "update")
    users = [_subject("User", name) for name in DEPLOYERS]
    return [
        _role("deployer", _rule("apps", "deployments", verbs), _rule("", "configmaps", verbs), namespace=NAMESPACE),
        _binding("deployer", *users, namespace=NAMESPACE),
    ]


def _administrator_rights() -> list[Manifest]:
    return [_binding("administrators", _subject("Group", ADMINISTRATORS), role="cluster-admin")]


def _role(name: str, *rules: Manifest, namespace: str | None = None) -> Manifest:
    kind = "ClusterRole" if namespace is None else "Role"
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": list(rules)}


def _binding(name: str, *subjects: Manifest, role: str | None = None, namespace: str | None = None) -> Manifest:
    kind = "ClusterRole" if namespace is None else "Role"
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(name, namespace),
        "subjects": list(subjects),
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role or name},
    }


def _metadata(name: str, namespace: str | None) -> Manifest:
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}


def _rule(group: str, resources: str, verbs: tuple[str, ...]) -> Manifest:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": list(verbs)}


def _subject(kind: str, name: str) -> Manifest:
    return {"apiGroup": _RBAC, "kind": kind, "name": name}
