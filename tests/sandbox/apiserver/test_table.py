"""Tables: which form is asked for, and what stands in the rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubeoidcproxy.sandbox.apiserver.kinds import RBAC
from kubeoidcproxy.sandbox.apiserver.resources import resource
from kubeoidcproxy.sandbox.apiserver.table import as_table, human_duration, wanted_form

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
METADATA = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", ""),
        ("application/json", ""),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table"),
        ("application/json, application/json;as=Table;v=v1;g=meta.k8s.io", ""),
        ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList, application/json", ""),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "PartialObjectMetadata"),
    ],
)
def test_wanted_form(accept: str, form: str) -> None:
    assert wanted_form(accept) == form


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (660, "11m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600, "9h"),
        (49 * 3600, "2d1h"),
        (10 * 86400, "10d"),
        (800 * 86400, "2y"),
    ],
)
def test_human_duration(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("group", "plural", "item", "cells"),
    [
        ("", "configmaps", {"data": {"a": "1"}, "binaryData": {"b": ""}}, ["x", 2, "60s"]),
        ("", "namespaces", {"status": {"phase": "Active"}}, ["x", "Active", "60s"]),
        ("", "serviceaccounts", {}, ["x", "60s"]),
        ("apps", "deployments", {"spec": {"replicas": 2}}, ["x", "0/2", 0, 0, "60s", "", "", "<none>"]),
        (RBAC, "roles", {}, ["x", "2026-01-01T00:00:00Z"]),
        (
            RBAC,
            "rolebindings",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
            },
            ["x", "Role/r", "60s", "u", "", "n/s"],
        ),
        (
            "",
            "pods",
            {
                "spec": {"containers": [{}, {}], "nodeName": "n1"},
                "status": {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 3}, {}]},
            },
            ["x", "1/2", "Running", "3", "60s", "<none>", "n1", "<none>", "<none>"],
        ),
    ],
)
def test_rows(group: str, plural: str, item: dict[str, Any], cells: list[Any]) -> None:
    table = as_table(resource(group, plural), [{"metadata": METADATA, **item}], "7", NOW)
    assert table["rows"][0]["cells"] == cells
    assert len(table["columnDefinitions"]) == len(cells)
    assert table["rows"][0]["object"]["metadata"] == METADATA
