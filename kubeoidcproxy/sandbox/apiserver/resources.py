"""The table of what this API server holds and answers: one row a resource, read by discovery, OpenAPI and routing."""

from __future__ import annotations

from kubeoidcproxy.sandbox.apiserver.kinds import AUTHENTICATION, AUTHORIZATION, RBAC, Resource, Subresource


def _rbac(kind: str, *fields: str, namespaced: bool) -> Resource:
    return Resource(RBAC, "v1", f"{kind.lower()}s", kind.lower(), kind, namespaced, fields)


def _review(group: str, version: str, plural: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(group, version, plural, kind.lower(), kind, namespaced, verbs=("create",))


_CONNECT = ("create", "get")
_STATUS_VERBS = ("get", "patch", "update")
_POD_SUBRESOURCES = (
    Subresource("attach", "PodAttachOptions", _CONNECT),
    Subresource("exec", "PodExecOptions", _CONNECT),
    Subresource("log", "Pod", ("get",)),
    Subresource("portforward", "PodPortForwardOptions", _CONNECT),
    Subresource("status", "Pod", _STATUS_VERBS),
)
_EVENT_FIELDS = (
    "involvedObject reason message type count firstTimestamp lastTimestamp source eventTime series action related "
    "reportingComponent reportingInstance"
)

RESOURCES = (
    Resource(
        "",
        "v1",
        "configmaps",
        "configmap",
        "ConfigMap",
        True,
        fields=("data", "binaryData", "immutable"),
        short_names=("cm",),
    ),
    Resource(
        "",
        "v1",
        "events",
        "event",
        "Event",
        True,
        fields=tuple(_EVENT_FIELDS.split()),
        short_names=("ev",),
        selectable=("type", "reason", *(f"involvedObject.{field}" for field in ("kind", "name", "namespace", "uid"))),
    ),
    Resource(
        "",
        "v1",
        "namespaces",
        "namespace",
        "Namespace",
        False,
        short_names=("ns",),
        subresources=(Subresource("status", "Namespace", _STATUS_VERBS),),
        selectable=("status.phase",),
    ),
    Resource(
        "",
        "v1",
        "pods",
        "pod",
        "Pod",
        True,
        short_names=("po",),
        categories=("all",),
        subresources=_POD_SUBRESOURCES,
        selectable=("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    ),
    Resource(
        "",
        "v1",
        "secrets",
        "secret",
        "Secret",
        True,
        fields=("data", "stringData", "type", "immutable"),
        selectable=("type",),
    ),
    Resource(
        "",
        "v1",
        "serviceaccounts",
        "serviceaccount",
        "ServiceAccount",
        True,
        fields=("secrets", "imagePullSecrets", "automountServiceAccountToken"),
        short_names=("sa",),
        subresources=(Subresource("token", "TokenRequest", ("create",), (AUTHENTICATION, "v1")),),
    ),
    Resource(
        "apps",
        "v1",
        "deployments",
        "deployment",
        "Deployment",
        True,
        short_names=("deploy",),
        categories=("all",),
        subresources=(Subresource("status", "Deployment", _STATUS_VERBS, ("apps", "v1")),),
    ),
    _rbac("ClusterRole", "rules", "aggregationRule", namespaced=False),
    _rbac("ClusterRoleBinding", "subjects", "roleRef", namespaced=False),
    _rbac("Role", "rules", namespaced=True),
    _rbac("RoleBinding", "subjects", "roleRef", namespaced=True),
    _review(AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview"),
    _review(AUTHENTICATION, "v1", "tokenreviews", "TokenReview"),
    _review(AUTHENTICATION, "v1beta1", "selfsubjectreviews", "SelfSubjectReview"),  # kubectl 1.27 asks for no other
    _review(AUTHORIZATION, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True),
    _review(AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    _review(AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    _review(AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview"),
)

_BY_PATH = {(row.group, row.version, row.plural): row for row in RESOURCES}
_BY_KIND = {(row.api_version, row.kind): row for row in RESOURCES}


def find_resource(group: str, version: str, plural: str) -> Resource | None:
    """The row that a path names."""
    return _BY_PATH.get((group, version, plural))


def is_group(name: str) -> bool:
    """Whether anything is in this API group."""
    return any(row.group == name for row in RESOURCES)


def resource(group: str, plural: str) -> Resource:
    """A row that is known to be there."""
    return _BY_PATH[group, "v1", plural]


def find_kind(api_version: str, kind: str) -> Resource | None:
    """The row that a manifest names."""
    return _BY_KIND.get((api_version, kind))
