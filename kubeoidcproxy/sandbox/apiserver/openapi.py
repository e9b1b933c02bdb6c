"""The smallest OpenAPI documents with which ``kubectl apply`` and ``create`` validate.

kubectl (1.27 and later) looks in the v3 document whether PATCH of the kind takes ``fieldValidation``; where it does,
it leaves the validation of fields to the server. It falls back to its built-in types for patches where no schema says
more. ``kubectl explain`` finds no fields.
"""

from __future__ import annotations

from typing import Any

from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.request import Response, json_response
from kubeoidcproxy.sandbox.apiserver.resources import RESOURCES

# Clients ask for "…v2@v1.0+protobuf", but "@" is not allowed in a media type: kube answers with "." as well.
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# gnostic's openapi_v2.Document: swagger "2.0", info {title "sandbox", version "v1"}, no paths, no definitions.
_EMPTY_V2 = b"\x0a\x032.0\x12\x0d\x0a\x07sandbox\x12\x02v1"
_INFO = {"title": "kubeoidcproxy sandbox", "version": "v1.35.0"}


def openapi_response(path: str) -> Response | None:
    """The answer to a path below /openapi; None where the path is another."""
    if path == "/openapi/v2":
        return Response(200, _EMPTY_V2, _V2_PROTOBUF)
    documents = {_place(row): row.api_version for row in RESOURCES}
    if path == "/openapi/v3":
        return json_response({"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in documents}})
    place = path.removeprefix("/openapi/v3/")
    if place in documents:
        return json_response(_document([row for row in RESOURCES if row.api_version == documents[place]]))
    return None


def _place(row: Resource) -> str:
    return f"apis/{row.api_version}" if row.group else f"api/{row.version}"


def _document(rows: list[Resource]) -> dict[str, Any]:
    paths = {_path(row): _operations(row) for row in rows if row.stored}
    schemas = {f"{row.group or 'core'}.{row.version}.{row.kind}": _schema(row) for row in rows}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def _path(row: Resource) -> str:
    scope = "namespaces/{namespace}/" if row.namespaced else ""
    return f"/{_place(row)}/{scope}{row.plural}/{{name}}"


def _operations(row: Resource) -> dict[str, Any]:
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in names]
    patch = {
        "operationId": f"patch{row.kind}",
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _group_version_kind(row),
    }
    return {"patch": patch}


def _schema(row: Resource) -> dict[str, Any]:
    return {"type": "object", "x-kubernetes-group-version-kind": [_group_version_kind(row)]}


def _group_version_kind(row: Resource) -> dict[str, str]:
    return {"group": row.group, "version": row.version, "kind": row.kind}
