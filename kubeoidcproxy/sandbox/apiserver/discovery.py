"""Discovery: which groups, versions and resources there are, in the plain and in the aggregated form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.request import Request, Response, json_response
from kubeoidcproxy.sandbox.apiserver.resources import RESOURCES

VERSION = {
    "major": "1",
    "minor": "35",
    "emulationMajor": "1",
    "emulationMinor": "35",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "34",
    "gitVersion": "v1.35.0+sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "twisted",
    "platform": "linux/amd64",
}
_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def discovery_response(request: Request) -> Response | None:
    """The answer to a path of discovery, version or health; None where the path is another."""
    path = request.path.rstrip("/")
    if path in _HEALTH:
        return Response(200, b"ok", "text/plain; charset=utf-8")
    if path == "/version":
        return json_response(VERSION)
    if path in ("/api", "/apis"):
        return _aggregated(request, core=path == "/api") or json_response(_groups(core=path == "/api"))
    for group_version, rows in _group_versions():
        if path in (f"/apis/{group_version}", f"/api/{group_version}"):
            return json_response(_resource_list(group_version, rows))
        if path == f"/apis/{rows[0].group}" and rows[0].group:
            return json_response(_group(rows[0].group) | {"kind": "APIGroup", "apiVersion": "v1"})
    return None


def _group_versions() -> Iterator[tuple[str, list[Resource]]]:
    for group_version in dict.fromkeys(row.api_version for row in RESOURCES):
        yield group_version, [row for row in RESOURCES if row.api_version == group_version]


def _groups(*, core: bool) -> dict[str, Any]:
    if core:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _group_names()]}


def _group_names() -> list[str]:
    return list(dict.fromkeys(row.group for row in RESOURCES if row.group))


def _versions(group: str) -> list[str]:
    return list(dict.fromkeys(row.version for row in RESOURCES if row.group == group))


def _group(name: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group_version: str, rows: list[Resource]) -> dict[str, Any]:
    resources = [entry for row in rows for entry in _plain_entries(row)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _plain_entries(row: Resource) -> Iterator[dict[str, Any]]:
    entry: dict[str, Any] = {"name": row.plural, "singularName": row.singular, "namespaced": row.namespaced}
    yield entry | {"kind": row.kind, "verbs": list(row.verbs)} | _nicknames(row)
    for sub in row.subresources:
        group, version = sub.group_version
        entry = {"name": f"{row.plural}/{sub.name}", "singularName": "", "namespaced": row.namespaced}
        origin = {"group": group, "version": version} if (group, version) != (row.group, row.version) else {}
        yield entry | origin | {"kind": sub.kind, "verbs": list(sub.verbs)}


def _nicknames(row: Resource) -> dict[str, Any]:
    names: dict[str, Any] = {"shortNames": list(row.short_names)} if row.short_names else {}
    return names | ({"categories": list(row.categories)} if row.categories else {})


def _aggregated(request: Request, *, core: bool) -> Response | None:
    """KEP-3352: one answer for all groups. kubectl asks for v2 from 1.30 on, for v2beta1 before."""
    accepted = request.header("accept").replace(" ", "")
    version = next((v for v in ("v2", "v2beta1") if _AGGREGATED.format(version=v) in accepted), None)
    if version is None:
        return None
    names = [""] if core else _group_names()
    items = [{"metadata": {"name": name, "creationTimestamp": None}, "versions": _discovered(name)} for name in names]
    body = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}}
    plain = json_response(body | {"items": items})
    return Response(plain.status, plain.body, _AGGREGATED.format(version=version))


def _discovered(group: str) -> list[dict[str, Any]]:
    return [_discovered_version(group, version) for version in _versions(group)]


def _discovered_version(group: str, version: str) -> dict[str, Any]:
    rows = [row for row in RESOURCES if (row.group, row.version) == (group, version)]
    return {"version": version, "freshness": "Current", "resources": [_aggregated_entry(row) for row in rows]}


def _aggregated_entry(row: Resource) -> dict[str, Any]:
    entry = {
        "resource": row.plural,
        "responseKind": {"group": row.group, "version": row.version, "kind": row.kind},
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(row.verbs),
    }
    subresources = [
        {
            "subresource": sub.name,
            "responseKind": {"group": sub.group_version[0], "version": sub.group_version[1], "kind": sub.kind},
            "verbs": list(sub.verbs),
        }
        for sub in row.subresources
    ]
    return entry | _nicknames(row) | ({"subresources": subresources} if subresources else {})
