"""Rules, bindings and the words of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from kubeoidcproxy.sandbox.apiserver.kinds import RBAC
from kubeoidcproxy.sandbox.apiserver.rbac import Rbac, forbidden, rule_allows
from kubeoidcproxy.sandbox.apiserver.request import RequestInfo
from kubeoidcproxy.sandbox.apiserver.resources import resource
from kubeoidcproxy.sandbox.apiserver.store import Store
from kubeoidcproxy.sandbox.apiserver.users import User

GET_POD = RequestInfo("get", group="", version="v1", namespace="shop", resource="pods", name="web")
GET_LOG = RequestInfo("get", group="", version="v1", namespace="shop", resource="pods", subresource="log", name="web")


def rule(verbs: str = "get", groups: str = "", resources: str = "pods", **more: list[str]) -> dict[str, Any]:
    return {"verbs": verbs.split(), "apiGroups": [groups], "resources": resources.split(), **more}


@pytest.mark.parametrize(
    ("granted", "info", "allowed"),
    [
        (rule(), GET_POD, True),
        (rule("list watch"), GET_POD, False),
        (rule("*"), GET_POD, True),
        (rule(groups="apps"), GET_POD, False),
        (rule(groups="*"), GET_POD, True),
        (rule(), GET_LOG, False),
        (rule(resources="pods/log"), GET_LOG, True),
        (rule(resources="*/log"), GET_LOG, True),
        (rule(resources="*/exec"), GET_LOG, False),
        (rule(resources="*"), GET_LOG, True),
        (rule(resourceNames=["web"]), GET_POD, True),
        (rule(resourceNames=["other"]), GET_POD, False),
        (rule(resourceNames=["web"]), RequestInfo("list", resource="pods"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/api/*"]}, RequestInfo("get", path="/api/v1"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/api/*"]}, RequestInfo("get", path="/api"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, RequestInfo("get", path="/x"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, GET_POD, False),
        (rule("*", "*", "*"), RequestInfo("get", path="/version"), False),
    ],
)
def test_rule(granted: dict[str, Any], info: RequestInfo, allowed: bool) -> None:
    assert rule_allows(granted, info) is allowed


@pytest.fixture
def store() -> Store:
    store = Store()
    store.create(resource(RBAC, "clusterroles"), {"metadata": {"name": "reader"}, "rules": [rule()]})
    return store


def bind(store: Store, name: str, *subjects: dict[str, str], namespace: str = "", role: str = "reader") -> None:
    plural = "rolebindings" if namespace else "clusterrolebindings"
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    role_ref = {"kind": "ClusterRole", "name": role}
    store.create(resource(RBAC, plural), {"metadata": metadata, "subjects": list(subjects), "roleRef": role_ref})


def test_a_role_binding_counts_in_its_namespace_alone(store: Store) -> None:
    bind(store, "b", {"kind": "User", "name": "alice"}, namespace="shop")
    rbac = Rbac(store)
    assert rbac.authorize(User("alice"), GET_POD).reason == (
        'RBAC: allowed by RoleBinding "b/shop" of ClusterRole "reader" to User "alice"'
    )
    elsewhere = RequestInfo("get", version="v1", namespace="office", resource="pods", name="web")
    assert not rbac.authorize(User("alice"), elsewhere).allowed


@pytest.mark.parametrize(
    ("subject", "user"),
    [
        ({"kind": "User", "name": "alice"}, User("alice")),
        ({"kind": "Group", "name": "dev"}, User("alice", groups=("ops", "dev"))),
        ({"kind": "ServiceAccount", "name": "ci", "namespace": "shop"}, User("system:serviceaccount:shop:ci")),
    ],
)
def test_subjects(store: Store, subject: dict[str, str], user: User) -> None:
    bind(store, "b", subject)
    assert Rbac(store).authorize(user, GET_POD).allowed
    assert not Rbac(store).authorize(User("someone", groups=("else",)), GET_POD).allowed


def test_masters_may_everything(store: Store) -> None:
    assert Rbac(store).authorize(User("x", groups=("system:masters",)), RequestInfo("delete", path="/x")).allowed


def test_a_missing_role_is_the_reason_of_a_refusal(store: Store) -> None:
    bind(store, "b", {"kind": "User", "name": "alice"}, role="gone")
    decision = Rbac(store).authorize(User("alice"), GET_POD)
    assert decision.reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (
            RequestInfo("list", namespace="shop", resource="pods"),
            'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "shop"',
        ),
        (
            GET_LOG,
            'pods "web" is forbidden: User "alice" cannot get resource "pods/log" in API group "" '
            'in the namespace "shop"',
        ),
        (
            RequestInfo("get", group="apps", resource="deployments", name="a<b"),
            'deployments.apps "a<b" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" '
            "at the cluster scope",
        ),
        (RequestInfo("get", path="/metrics"), 'forbidden: User "alice" cannot get path "/metrics"'),
        (
            RequestInfo("get", path="/<x>&"),
            'forbidden: User "alice" cannot get path "/&lt;x&gt;&amp;"',
        ),
    ],
)
def test_the_words_of_a_refusal(info: RequestInfo, message: str) -> None:
    assert forbidden(User("alice"), info).message == message
