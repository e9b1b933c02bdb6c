"""Which targets go on (policy P3)."""

from __future__ import annotations

import pytest

from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.target import judge_path, judge_target


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/api/v1/namespaces/default/pods?labelSelector=a%3Db&x=//..",
        b"/api/v1/namespaces/m/services/http:graf:3000/proxy/d//x%2Fy/..",
        b"/api/v1/nodes/n1/proxy/%00",
        b"/api/v1/namespaces/a+b/pods/",
        b"/apis/x.y/v1/namespaces/d/things/na%C3%AFve",
        b"/api/v1/namespaces/a/.hidden",
        b"/api/v1/namespaces/a/..b",
    ],
)
def test_passes(target: bytes) -> None:
    judge_target(target)
    judge_path(target)


@pytest.mark.parametrize(
    "target",
    [b"", b"x", b"/%4", b"/%zz", b"/a b", b"/a#b", b"/a\\b", b"/a^b", b"/a`b", b'/a"b', b"/<a>", b"/caf\xe9", b"/a\tb"],
)
def test_no_target(target: bytes) -> None:
    with pytest.raises(Malformed):
        judge_target(target)


@pytest.mark.parametrize(
    "target",
    [
        b"//api",
        b"/api//v1",
        b"/api/../v1",
        b"/api/%2e%2e/v1",
        b"/api/.%2E/v1",
        b"/api/./v1",
        b"/api/..",
        b"/a/..;/b",
        b"/api/a%2Fb",
        b"/api/a%2fb",
        b"/api/a%5Cb",
        b"/api/a%00b",
        b"/api/a%0d%0aX:y",
        b"/api/a%7f",
        b"/api/a%C2%85",
        b"/api/%c0%ae%c0%ae/b",
        b"/api/%ff",
        b"/api/v1/namespaces/a/secrets/x/proxy//",
        b"/api/v1/namespaces/a/pods/%2e%2e/proxy/x",
        b"/api/v1/namespaces/a/pods//proxy/x",
        b"/api/v1/namespaces/%2e%2e/pods/x/proxy//",
    ],
)
def test_no_path_of_an_object(target: bytes) -> None:
    with pytest.raises(Malformed):
        judge_path(target)
