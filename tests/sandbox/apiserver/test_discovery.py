"""Discovery, version and health, and the OpenAPI documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox.apiserver.conversation import Conversation

from kubeoidcproxy.sandbox.apiserver.resources import RESOURCES

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    return Conversation(tmp_path)


def test_everything_is_found_by_plain_discovery(conversation: Conversation) -> None:
    groups = conversation.ask("GET", "/apis", token="eve").json["groups"]
    versions = [version["groupVersion"] for group in groups for version in group["versions"]]
    listed = [conversation.ask("GET", f"/apis/{version}", token="eve").json for version in versions]
    listed.append(conversation.ask("GET", "/api/v1", token="eve").json)
    found = {(page["groupVersion"], entry["name"]) for page in listed for entry in page["resources"]}
    assert {(row.api_version, row.plural) for row in RESOURCES} <= found
    assert ("v1", "pods/exec") in found


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_aggregated_discovery(conversation: Conversation, version: str) -> None:
    accept = ("Accept", f"{AGGREGATED.format(version)},application/json")
    answers = [conversation.ask("GET", path, accept) for path in ("/api", "/apis")]
    found = [
        (item["metadata"]["name"], entry["version"], row["resource"])
        for answer in answers
        for item in answer.json["items"]
        for entry in item["versions"]
        for row in entry["resources"]
    ]
    assert sorted(found) == sorted((row.group, row.version, row.plural) for row in RESOURCES)
    assert {answer.headers["content-type"] for answer in answers} == {AGGREGATED.format(version)}


def test_open_to_everybody_who_is_known(conversation: Conversation) -> None:
    for path in ("/version", "/healthz", "/livez", "/readyz", "/api", "/openapi/v3", "/openapi/v2"):
        assert conversation.ask("GET", path, token="eve").status == 200
        assert conversation.ask("GET", path, token=None).status == 401
    assert conversation.ask("GET", "/readyz").body == b"ok"


def test_openapi_says_that_the_server_validates_fields(conversation: Conversation) -> None:
    places = conversation.ask("GET", "/openapi/v3").json["paths"]
    document = conversation.ask("GET", places["apis/apps/v1"]["serverRelativeURL"]).json
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}


@pytest.mark.parametrize(
    ("method", "path", "code", "body"),
    [
        ("GET", "/nope", 404, b"404 page not found\n"),
        ("GET", "/apis/x.io/v1/foos", 404, b"404 page not found\n"),
        ("GET", "/apis/x.io", 404, b"404 page not found\n"),
    ],
)
def test_paths_that_no_group_has(conversation: Conversation, method: str, path: str, code: int, body: bytes) -> None:
    answer = conversation.ask(method, path)
    assert (answer.status, answer.body) == (code, body)


def test_other_refusals(conversation: Conversation) -> None:
    assert conversation.ask("GET", "/apis/apps/v2").message == "the server could not find the requested resource"
    assert conversation.ask("DELETE", "/version").status == 405
    assert conversation.ask("GET", "/apis/authentication.k8s.io/v1/selfsubjectreviews").status == 405
