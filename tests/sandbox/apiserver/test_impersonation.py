"""Impersonation as measured on kube-apiserver 1.35: what each set of headers makes of the caller, or why it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sandbox.apiserver.conversation import RBAC, Conversation, manifest

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TARGET = "system:serviceaccount:imp:target"
ALICE = ("Impersonate-User", "alice")
EVERYBODY = "system:authenticated"


def extra(key: str, value: str = "v") -> tuple[str, str]:
    return f"Impersonate-Extra-{key}", value


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    rules = [
        {"apiGroups": [""], "resources": ["users", "groups", "serviceaccounts"], "verbs": ["impersonate"]},
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["uids", "userextras/scopes", "userextras/Scopes", "userextras/example.org/team"],
            "verbs": ["impersonate"],
        },
    ]
    role = manifest("ClusterRole", "impersonator", f"{RBAC}/v1", rules=rules)
    role_ref = {"kind": "ClusterRole", "name": "impersonator"}
    subjects = [{"kind": "User", "name": "proxy"}]
    binding = manifest("ClusterRoleBinding", "proxy", f"{RBAC}/v1", roleRef=role_ref, subjects=subjects)
    return Conversation(tmp_path, [manifest("Namespace", "imp"), role, binding])


ACCEPTED: list[tuple[list[tuple[str, str]], dict[str, Any]]] = [
    ([ALICE], {"username": "alice", "groups": [EVERYBODY]}),
    (
        [ALICE, ("Impersonate-Group", "dev"), ("Impersonate-Group", "ops")],
        {"username": "alice", "groups": ["dev", "ops", EVERYBODY]},
    ),
    ([("Impersonate-User", "")], {"username": "proxy", "uid": "p", "groups": [EVERYBODY]}),
    ([ALICE, ("Impersonate-User", "bob")], {"username": "alice", "groups": [EVERYBODY]}),
    ([ALICE, ("Impersonate-Group", "")], {"username": "alice", "groups": ["", EVERYBODY]}),
    (
        [ALICE, ("Impersonate-Group", "system:masters")],
        {"username": "alice", "groups": ["system:masters", EVERYBODY]},
    ),
    (
        [("Impersonate-User", TARGET)],
        {"username": TARGET, "groups": ["system:serviceaccounts", "system:serviceaccounts:imp", EVERYBODY]},
    ),
    (
        [("Impersonate-User", TARGET), ("Impersonate-Group", "dev")],
        {"username": TARGET, "groups": ["dev", EVERYBODY]},
    ),
    (
        [("Impersonate-User", "system:serviceaccount:imp:UPPER")],
        {"username": "system:serviceaccount:imp:UPPER", "groups": [EVERYBODY]},
    ),
    (
        [("Impersonate-User", "system:serviceaccount:imp")],
        {"username": "system:serviceaccount:imp", "groups": [EVERYBODY]},
    ),
    ([("Impersonate-User", "system:node:n1")], {"username": "system:node:n1", "groups": [EVERYBODY]}),
    ([ALICE, ("Impersonate-Group", EVERYBODY)], {"username": "alice", "groups": [EVERYBODY]}),
    ([ALICE, extra("SCOPES", "a")], {"username": "alice", "groups": [EVERYBODY], "extra": {"scopes": ["a"]}}),
    (
        [ALICE, extra("Scopes", "a"), extra("Scopes", "b")],
        {"username": "alice", "groups": [EVERYBODY], "extra": {"scopes": ["a", "b"]}},
    ),
    (
        [ALICE, extra("example.org%2Fteam"), extra("example.org%2fteam", "w")],
        {"username": "alice", "groups": [EVERYBODY], "extra": {"example.org/team": ["v", "w"]}},
    ),
    ([ALICE, extra("%73copes")], {"username": "alice", "groups": [EVERYBODY], "extra": {"scopes": ["v"]}}),
    ([ALICE, extra("%53copes")], {"username": "alice", "groups": [EVERYBODY], "extra": {"Scopes": ["v"]}}),
    ([ALICE, ("impersonate-UID", "u-1")], {"username": "alice", "uid": "u-1", "groups": [EVERYBODY]}),
    ([("Impersonate-User", "ümläut")], {"username": "ümläut", "groups": [EVERYBODY]}),
    ([("Impersonate-User", "  alice smith ")], {"username": "alice smith", "groups": [EVERYBODY]}),
    ([("Impersonate-User", "a" * 5000)], {"username": "a" * 5000, "groups": [EVERYBODY]}),
    ([ALICE, ("Impersonate-Foo", "x")], {"username": "alice", "groups": [EVERYBODY]}),
]


@pytest.mark.parametrize(("headers", "user"), ACCEPTED)
def test_accepted(conversation: Conversation, headers: list[tuple[str, str]], user: dict[str, Any]) -> None:
    answer = conversation.ask("POST", REVIEW, *headers, body={}, token="proxy")
    assert answer.status == 201
    assert answer.json["status"]["userInfo"] == user


WITHOUT_USER = "without impersonating a user"
REFUSED = [
    ([("Impersonate-Group", "dev")], 400, "BadRequest", f"requested [{{Group  dev    }}] {WITHOUT_USER}"),
    (
        [("Impersonate-User", ""), ("Impersonate-Group", "dev")],
        400,
        "BadRequest",
        f"requested [{{Group  dev    }}] {WITHOUT_USER}",
    ),
    (
        [extra("Scopes", "a")],
        400,
        "BadRequest",
        f"requested [{{UserExtra  a  authentication.k8s.io/v1  scopes}}] {WITHOUT_USER}",
    ),
    (
        [("Impersonate-Uid", "1")],
        400,
        "BadRequest",
        f"requested [{{UID  1  authentication.k8s.io/v1  }}] {WITHOUT_USER}",
    ),
    (
        [ALICE, extra("Other")],
        403,
        "Forbidden",
        'userextras.authentication.k8s.io "v" is forbidden: User "proxy" cannot impersonate resource '
        '"userextras/other" in API group "authentication.k8s.io" at the cluster scope',
    ),
    (
        [ALICE, extra("sc%zz")],
        403,
        "Forbidden",
        'userextras.authentication.k8s.io "v" is forbidden: User "proxy" cannot impersonate resource '
        '"userextras/sc%zz" in API group "authentication.k8s.io" at the cluster scope',
    ),
    (
        [ALICE, extra("")],
        403,
        "Forbidden",
        'userextras.authentication.k8s.io "v" is forbidden: User "proxy" cannot impersonate resource "userextras" '
        'in API group "authentication.k8s.io" at the cluster scope',
    ),
    (
        [ALICE, ("Impersonate-Group", "system:unauthenticated")],
        403,
        "Forbidden",
        'selfsubjectreviews.authentication.k8s.io is forbidden: User "alice" cannot create resource '
        '"selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope',
    ),
]


@pytest.mark.parametrize(("headers", "code", "reason", "message"), REFUSED)
def test_refused(
    conversation: Conversation, headers: list[tuple[str, str]], code: int, reason: str, message: str
) -> None:
    answer = conversation.ask("POST", REVIEW, *headers, body={}, token="proxy")
    assert (answer.status, answer.json["reason"], answer.message) == (code, reason, message)


CANNOT = 'User "eve" cannot impersonate resource'
UNGRANTED = [
    ([ALICE], f'users "alice" is forbidden: {CANNOT} "users" in API group "" at the cluster scope'),
    (
        [("Impersonate-User", TARGET)],
        f'serviceaccounts "target" is forbidden: {CANNOT} "serviceaccounts" in API group "" in the namespace "imp"',
    ),
]


@pytest.mark.parametrize(("headers", "message"), UNGRANTED)
def test_without_a_grant(conversation: Conversation, headers: list[tuple[str, str]], message: str) -> None:
    """The 403 names the caller, not the person."""
    answer = conversation.ask("POST", REVIEW, *headers, body={}, token="eve")
    assert (answer.status, answer.message) == (403, message)


def test_a_refusal_names_the_person_where_the_person_has_no_right(conversation: Conversation) -> None:
    answer = conversation.ask("GET", "/api/v1/namespaces/imp/pods", ALICE, token="proxy")
    expected = 'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "imp"'
    assert (answer.status, answer.message) == (403, expected)


@pytest.mark.parametrize("token", ["wrong", None])
def test_a_bad_credential_is_401_whoever_it_wants_to_be(conversation: Conversation, token: str | None) -> None:
    answer = conversation.ask("GET", "/api", ALICE, token=token)
    assert (answer.status, answer.message) == (401, "Unauthorized")
    assert "www-authenticate" not in answer.headers
