"""Objects over HTTP: codes and words as kube-apiserver 1.35 gave them for the same requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sandbox.apiserver.conversation import RBAC, SHOP, TABLE, Conversation, manifest, pod

SHOP_PATH = "/api/v1/namespaces/shop"
CONFIGMAPS = f"{SHOP_PATH}/configmaps"
BINDINGS = f"/apis/{RBAC}/v1/namespaces/shop/rolebindings"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
MERGE = ("Content-Type", "application/merge-patch+json")
APPLY = ("Content-Type", "application/apply-patch+yaml")


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    return Conversation(tmp_path, [*SHOP, manifest("ConfigMap", "c", namespace="shop", data={"a": "1"})])


def test_what_is_created_gets_its_metadata_from_the_server(conversation: Conversation) -> None:
    answer = conversation.ask("POST", CONFIGMAPS, body=manifest("ConfigMap", "d"))
    assert answer.status == 201
    assert answer.json["metadata"].keys() == {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}
    assert conversation.ask("GET", f"{CONFIGMAPS}/d").json == answer.json


def test_generated_names(conversation: Conversation) -> None:
    body = {"metadata": {"generateName": "job-"}}
    names = {conversation.ask("POST", CONFIGMAPS, body=body).json["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_lists_do_not_say_the_kind_of_their_items(conversation: Conversation) -> None:
    listed = conversation.ask("GET", CONFIGMAPS).json
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["c", "kube-root-ca.crt"]
    assert all("kind" not in item for item in listed["items"])


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("GET", f"{CONFIGMAPS}/none", None, 404, 'configmaps "none" not found'),
    ("GET", "/api/v1/namespaces/none", None, 404, 'namespaces "none" not found'),
    ("GET", f"{DEPLOYMENTS}/none", None, 404, 'deployments.apps "none" not found'),
    ("GET", "/api/v1/foos", None, 404, "the server could not find the requested resource"),
    ("GET", f"{SHOP_PATH}/pods/web/foo", None, 404, "the server could not find the requested resource"),
    ("POST", CONFIGMAPS, manifest("ConfigMap", "c"), 409, 'configmaps "c" already exists'),
    ("POST", "/api/v1/namespaces/none/configmaps", manifest("ConfigMap", "c"), 404, 'namespaces "none" not found'),
    (
        "POST",
        CONFIGMAPS,
        manifest("ConfigMap", "c", namespace="other"),
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        "POST",
        CONFIGMAPS,
        {"metadata": {}},
        422,
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ),
    (
        "POST",
        CONFIGMAPS,
        pod(),
        400,
        'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): '
        "unknown conversion",
    ),
    (
        "POST",
        f"{CONFIGMAPS}?fieldValidation=Strict",
        manifest("ConfigMap", "s", foo=1),
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"',
    ),
    (
        "POST",
        f"{SHOP_PATH}/pods",
        manifest("Pod", "bad", spec={"containers": [{"name": "x"}]}),
        422,
        'Pod "bad" is invalid: spec.containers[0].image: Required value',
    ),
    ("POST", f"{SHOP_PATH}/pods", manifest("Pod", "b"), 422, 'Pod "b" is invalid: spec.containers: Required value'),
    (
        "POST",
        DEPLOYMENTS,
        manifest("Deployment", "e", "apps/v1", spec={}),
        422,
        'Deployment.apps "e" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: '
        "null: `selector` does not match template `labels`, spec.template.spec.containers: Required value]",
    ),
    (
        "POST",
        BINDINGS,
        manifest("RoleBinding", "q", f"{RBAC}/v1", roleRef={"kind": "X", "name": "a"}),
        422,
        f'RoleBinding.{RBAC} "q" is invalid: roleRef.kind: Unsupported value: "X": supported values: "Role", '
        '"ClusterRole"',
    ),
    ("PUT", CONFIGMAPS, {}, 405, "the server does not allow this method on the requested resource"),
    (
        "PUT",
        f"{CONFIGMAPS}/c",
        manifest("ConfigMap", "z"),
        400,
        "the name of the object (z) does not match the name on the URL (c)",
    ),
    ("PUT", f"{CONFIGMAPS}/none", manifest("ConfigMap", "none"), 404, 'configmaps "none" not found'),
    (
        "PUT",
        f"{CONFIGMAPS}/c",
        {"metadata": {"name": "c", "resourceVersion": "1"}},
        409,
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to '
        "the latest version and try again",
    ),
    ("DELETE", f"{CONFIGMAPS}/none", None, 404, 'configmaps "none" not found'),
]


@pytest.mark.parametrize(("method", "target", "body", "code", "message"), REFUSED)
def test_refused(conversation: Conversation, method: str, target: str, body: Any, code: int, message: str) -> None:
    answer = conversation.ask(method, target, body=body)
    assert (answer.status, answer.message) == (code, message)
    assert answer.json["code"] == code


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        ("application/merge-patch+json", {"data": {"b": "2"}}, {"a": "1", "b": "2"}),
        ("application/strategic-merge-patch+json", {"data": {"a": None, "b": "2"}}, {"b": "2"}),
        ("application/json-patch+json", [{"op": "replace", "path": "/data/a", "value": "2"}], {"a": "2"}),
    ],
)
def test_patch(conversation: Conversation, kind: str, body: Any, data: dict[str, str]) -> None:
    answer = conversation.ask("PATCH", f"{CONFIGMAPS}/c", ("Content-Type", kind), body=body)
    assert (answer.status, answer.json["data"]) == (200, data)


def test_a_patch_that_changes_nothing_makes_no_new_version(conversation: Conversation) -> None:
    before = conversation.ask("GET", f"{CONFIGMAPS}/c").json
    assert conversation.ask("PATCH", f"{CONFIGMAPS}/c", MERGE, body={"data": {"a": "1"}}).json == before


def test_server_side_apply(conversation: Conversation) -> None:
    target = f"{CONFIGMAPS}/applied?fieldManager=m"
    first = conversation.ask("PATCH", target, APPLY, body=manifest("ConfigMap", "applied", data={"a": "1"}))
    second = conversation.ask("PATCH", target, APPLY, body=manifest("ConfigMap", "applied", data={"b": "1"}))
    assert (first.status, second.status, second.json["data"]) == (201, 200, {"b": "1"})
    nameless = conversation.ask("PATCH", f"{CONFIGMAPS}/applied", APPLY, body={})
    assert "fieldManager: Required value" in nameless.message


def test_dry_run_stores_nothing(conversation: Conversation) -> None:
    assert conversation.ask("POST", f"{CONFIGMAPS}?dryRun=All", body=manifest("ConfigMap", "dry")).status == 201
    assert conversation.ask("GET", f"{CONFIGMAPS}/dry").status == 404
    assert conversation.ask("DELETE", f"{CONFIGMAPS}/c?dryRun=All").status == 200
    assert conversation.ask("GET", f"{CONFIGMAPS}/c").status == 200


def test_delete_answers_with_a_status_or_the_object(conversation: Conversation) -> None:
    assert conversation.ask("DELETE", f"{CONFIGMAPS}/c").json["status"] == "Success"
    assert conversation.ask("DELETE", f"{SHOP_PATH}/pods/web").json["kind"] == "Pod"


def test_a_pod_is_running_at_once_and_little_of_it_may_change(conversation: Conversation) -> None:
    assert conversation.ask("GET", f"{SHOP_PATH}/pods/web").json["status"]["phase"] == "Running"
    strategic = ("Content-Type", "application/strategic-merge-patch+json")
    for change, code in (({"image": "other"}, 200), ({"command": ["x"]}, 422)):
        body = {"spec": {"containers": [{"name": "main", **change}]}}
        assert conversation.ask("PATCH", f"{SHOP_PATH}/pods/web", strategic, body=body).status == code


def test_a_role_cannot_be_changed_but_a_binding_is_created_by_put(conversation: Conversation) -> None:
    binding = manifest("RoleBinding", "b", f"{RBAC}/v1", roleRef={"kind": "ClusterRole", "name": "view"})
    assert conversation.ask("PUT", f"{BINDINGS}/b", body=binding).status == 201
    changed = binding | {"roleRef": {"kind": "ClusterRole", "name": "edit"}}
    assert "cannot change roleRef" in conversation.ask("PUT", f"{BINDINGS}/b", body=changed).message


def test_a_namespace_lives_on_until_it_is_empty(conversation: Conversation) -> None:
    deleted = conversation.ask("DELETE", SHOP_PATH)
    assert deleted.json["status"]["phase"] == "Terminating"
    late = conversation.ask("POST", CONFIGMAPS, body=manifest("ConfigMap", "late"))
    assert late.message == (
        'configmaps "late" is forbidden: unable to create new content in namespace shop because it is being terminated'
    )
    assert late.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert conversation.ask("DELETE", SHOP_PATH).status == 200
    conversation.clock.advance(1)
    assert conversation.ask("GET", SHOP_PATH).status == 404
    assert conversation.ask("GET", "/api/v1/pods").json["items"] == []


def test_forms(conversation: Conversation) -> None:
    table = conversation.ask("GET", f"{SHOP_PATH}/pods", TABLE).json
    assert (table["kind"], table["rows"][0]["cells"][:3]) == ("Table", ["web", "1/1", "Running"])
    partial = ("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
    assert "spec" not in conversation.ask("GET", f"{SHOP_PATH}/pods", partial).json["items"][0]
    assert conversation.ask("GET", f"{SHOP_PATH}/pods", ("Accept", "text/html")).status == 406


def test_bodies_in_other_forms(conversation: Conversation) -> None:
    yaml = ("Content-Type", "application/yaml")
    assert conversation.ask("POST", CONFIGMAPS, yaml, body=b"metadata: {name: y}\ndata: {a: b}").status == 201
    assert conversation.ask("POST", CONFIGMAPS, ("Content-Type", "text/plain"), body=b"x").status == 415
    assert conversation.ask("POST", CONFIGMAPS, body=b"{nonsense").status == 400
    assert conversation.ask("POST", CONFIGMAPS, body=json.dumps([1]).encode()).status == 400
