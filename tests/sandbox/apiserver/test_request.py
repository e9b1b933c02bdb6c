"""What a method and a path mean."""

from __future__ import annotations

import pytest

from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo, request_info

PODS = "/api/v1/namespaces/shop/pods"


@pytest.mark.parametrize(
    ("method", "target", "info"),
    [
        ("GET", "/version", RequestInfo("get", "/version")),
        ("GET", "/apis/apps/v1", RequestInfo("get", "/apis/apps/v1")),
        ("GET", PODS, RequestInfo("list", PODS, "", "v1", "shop", "pods")),
        ("GET", f"{PODS}?watch=1", RequestInfo("watch", PODS, "", "v1", "shop", "pods")),
        ("GET", f"{PODS}?watch=false", RequestInfo("list", PODS, "", "v1", "shop", "pods")),
        (
            "GET",
            f"{PODS}?fieldSelector=metadata.name%3Dweb",
            RequestInfo("list", PODS, "", "v1", "shop", "pods", "", "web"),
        ),
        ("GET", f"{PODS}/web", RequestInfo("get", f"{PODS}/web", "", "v1", "shop", "pods", "", "web")),
        ("HEAD", f"{PODS}/web", RequestInfo("get", f"{PODS}/web", "", "v1", "shop", "pods", "", "web")),
        (
            "POST",
            f"{PODS}/web/exec?command=ls",
            RequestInfo("create", f"{PODS}/web/exec", "", "v1", "shop", "pods", "exec", "web"),
        ),
        ("DELETE", PODS, RequestInfo("deletecollection", PODS, "", "v1", "shop", "pods")),
        (
            "PATCH",
            "/api/v1/namespaces/shop",
            RequestInfo("patch", "/api/v1/namespaces/shop", "", "v1", "shop", "namespaces", "", "shop"),
        ),
        (
            "PUT",
            "/api/v1/namespaces/shop/status",
            RequestInfo("update", "/api/v1/namespaces/shop/status", "", "v1", "shop", "namespaces", "status", "shop"),
        ),
        (
            "GET",
            "/apis/apps/v1/deployments",
            RequestInfo("list", "/apis/apps/v1/deployments", "apps", "v1", "", "deployments"),
        ),
    ],
)
def test_request_info(method: str, target: str, info: RequestInfo) -> None:
    assert request_info(Request(method, target)) == info


@pytest.mark.parametrize(
    ("target", "long_running"),
    [(PODS, False), (f"{PODS}?watch=true", True), (f"{PODS}/web/log", True), (f"{PODS}/web/exec", True)],
)
def test_long_running(target: str, long_running: bool) -> None:
    assert request_info(Request("GET", target)).long_running is long_running
