"""Reviews and token requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sandbox.apiserver.conversation import RBAC, SHOP, Conversation, manifest

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
SELF = f"{AUTHORIZATION}/selfsubjectaccessreviews"
TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
TOKEN = "/api/v1/namespaces/shop/serviceaccounts/default/token"
LIST_PODS = {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "shop"}}


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    role_ref, subjects = {"kind": "ClusterRole", "name": "view"}, [{"kind": "User", "name": "eve"}]
    binding = manifest("RoleBinding", "eve", f"{RBAC}/v1", "shop", roleRef=role_ref, subjects=subjects)
    return Conversation(tmp_path, [*SHOP, binding])


def test_may_i(conversation: Conversation) -> None:
    reason = 'RBAC: allowed by RoleBinding "eve/shop" of ClusterRole "view" to User "eve"'
    allowed = conversation.ask("POST", SELF, body={"spec": LIST_PODS}, token="eve")
    assert (allowed.status, allowed.json["status"]) == (201, {"allowed": True, "reason": reason})
    elsewhere = {"resourceAttributes": LIST_PODS["resourceAttributes"] | {"namespace": "default"}}
    assert conversation.ask("POST", SELF, body={"spec": elsewhere}, token="eve").json["status"] == {"allowed": False}


def test_may_somebody_else(conversation: Conversation) -> None:
    target = f"{AUTHORIZATION}/subjectaccessreviews"
    body = {"spec": {"user": "eve", **LIST_PODS}}
    assert conversation.ask("POST", target, body=body).json["status"]["allowed"]
    assert conversation.ask("POST", target, body=body, token="eve").status == 403
    assert "at least one of user or group" in conversation.ask("POST", target, body={"spec": LIST_PODS}).message


def test_a_local_review_is_of_its_namespace(conversation: Conversation) -> None:
    body = {"spec": {"user": "eve", **LIST_PODS}}
    path = "namespaces/{}/localsubjectaccessreviews"
    assert conversation.ask("POST", f"{AUTHORIZATION}/{path.format('shop')}", body=body).json["status"]["allowed"]
    other = conversation.ask("POST", f"{AUTHORIZATION}/{path.format('default')}", body=body)
    assert (other.status, other.message.split(": ", 2)[2]) == (
        422,
        'Invalid value: "shop": must match metadata.namespace',
    )


@pytest.mark.parametrize("spec", [{}, LIST_PODS | {"nonResourceAttributes": {"verb": "get", "path": "/"}}])
def test_a_review_asks_one_thing(conversation: Conversation, spec: dict[str, Any]) -> None:
    answer = conversation.ask("POST", SELF, body={"spec": spec})
    assert "exactly one of nonResourceAttributes or resourceAttributes" in answer.message


def test_rules(conversation: Conversation) -> None:
    target = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    status = conversation.ask("POST", target, body={"spec": {"namespace": "shop"}}, token="eve").json["status"]
    assert {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]} in status[
        "nonResourceRules"
    ]
    assert any("pods" in rule["resources"] for rule in status["resourceRules"])


def test_whose_token_is_it(conversation: Conversation) -> None:
    known = conversation.ask("POST", TOKENS, body={"spec": {"token": "eve"}}).json["status"]
    assert known == {
        "authenticated": True,
        "user": {"username": "eve", "uid": "e", "groups": ["system:authenticated"]},
        "audiences": ["https://kubernetes.default.svc"],
    }
    for spec in ({"token": "bad"}, {"token": "eve", "audiences": ["other"]}):
        unknown = conversation.ask("POST", TOKENS, body={"spec": spec}).json["status"]
        assert unknown == {"user": {}, "error": "invalid bearer token"}


def test_a_minted_token_is_the_service_account_until_it_expires(conversation: Conversation) -> None:
    made = conversation.ask("POST", TOKEN, body={"spec": {"expirationSeconds": 600}})
    token = made.json["status"]["token"]
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    user = conversation.ask("POST", review, body={}, token=token).json["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:shop:default"
    assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
    assert user["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    conversation.clock.advance(601)
    assert conversation.ask("GET", "/version", token=token).status == 401


def test_a_token_dies_with_its_account_and_is_for_its_audience(conversation: Conversation) -> None:
    token = conversation.ask("POST", TOKEN, body={}).json["status"]["token"]
    assert conversation.ask("GET", "/version", token=token).status == 200
    conversation.ask("DELETE", TOKEN.removesuffix("/token"))
    assert conversation.ask("GET", "/version", token=token).status == 401
    other = TOKEN.replace("/shop/", "/default/")
    elsewhere = conversation.ask("POST", other, body={"spec": {"audiences": ["vault"]}}).json["status"]["token"]
    assert conversation.ask("GET", "/version", token=elsewhere).status == 401


def test_a_short_life_is_refused(conversation: Conversation) -> None:
    answer = conversation.ask("POST", TOKEN, body={"spec": {"expirationSeconds": 60}})
    assert (answer.status, answer.message) == (
        422,
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: '
        "may not specify a duration less than 10 minutes",
    )
