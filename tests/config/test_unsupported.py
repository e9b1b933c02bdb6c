from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import dotted
from kubeoidcproxy.config.section import judge
from kubeoidcproxy.config.unsupported import UNSUPPORTED, unsupported

STATIC = {"issuer": "urn:x", "audiences": ["k"], "claimMappings": {}}
CLUSTER = {"name": "prod", "kubeconfig": "k"}
EXAMPLES: dict[str, Any] = {
    "listen.proxyProtocol": {"listen": [{"address": "a:1", "proxyProtocol": True}], "trustedProxies": ["10.0.0.0/8"]},
    "trustedProxies": {"trustedProxies": ["10.0.0.0/8"]},
    "admin.controlSocket": {"admin": {"controlSocket": "s"}},
    "workers": {"workers": "auto"},
    "egress.proxyURL": {"egress": {"proxyURL": "http://proxy:3128"}},
    "clustersDirectory": {"clustersDirectory": "d"},
    "authentication.staticIssuers.jwksFile": {"authentication": {"staticIssuers": [{**STATIC, "jwksFile": "j"}]}},
    "authentication.staticIssuers.maxTokenAge": {
        "authentication": {"staticIssuers": [{**STATIC, "certificateFile": "c", "maxTokenAge": "10m"}]}
    },
}
VALUES: dict[str, Any] = {
    "reservedIdentities": [{"issuer": "i"}],
    "tokenRequest": {"serviceAccount": "a/b"},
    "extraUserHeaders": {"a": ["b"]},
    "audiences": ["a"],
    "impersonation": False,
    "originalUserExtra": False,
    "builtIn": False,
    "authorization": "proxy",
    "format": "k8s",
    "mode": "blocking",
    "url": "https://a",
    "interval": "1m",
    "maxDuration": "1h",
    "maxSize": 1,
    "maxSpoolSize": 1,
    "maxRequestBody": 1,
}
NUMBERS = ("maxConnections", "maxBackups", "failedLoginsPerMinute")


def example(key: str) -> dict[str, Any]:
    """A document that sets the key."""
    if key in EXAMPLES:
        return dict(EXAMPLES[key])
    *parents, last = key.split(".")
    paths = last.endswith(("File", "Directory", "Socket")) or last in ("path", "file")
    value: Any = VALUES.get(last, 1 if last in NUMBERS else "p" if paths else True)
    for parent in reversed([*parents, last][1:]):
        value = {parent: value}
    if parents[0] == "clusters":
        return {"clusters": [{**CLUSTER, "issuers": ["i"], **value}]}
    return {parents[0]: {"configFile": "a", **value} if parents[0] == "authentication" else value}


def config(changes: dict[str, Any]) -> Config:
    least: dict[str, Any] = {
        "listen": [{"address": "a:1"}],
        "tls": {"certificates": [{"certFile": "c", "keyFile": "k"}]},
        "authentication": {"configFile": "a"},
        "clusters": [CLUSTER],
    }
    return judge(Config, {**least, **changes}, {"folder": Path("/etc/kop")})[0]


def test_defaults_are_served() -> None:
    assert list(unsupported(config({"admin": {}}))) == []


@pytest.mark.parametrize("key", UNSUPPORTED)
def test_each_key_of_the_table_is_refused_with_its_name(key: str) -> None:
    found = list(unsupported(config(example(key))))
    assert f"not supported yet: {key}" in [message for _, message in found]
    [location] = [location for location, message in found if message.endswith(f": {key}")]
    assert [step for step in location if isinstance(step, str)] == key.split(".")


def test_the_path_has_the_place_in_the_list() -> None:
    clusters = [CLUSTER, {**CLUSTER, "name": "b", "tokenRequest": {"serviceAccount": "a/b"}}]
    [(location, message)] = unsupported(config({"clusters": clusters}))
    assert (dotted(location), message) == ("clusters[1].tokenRequest", "not supported yet: clusters.tokenRequest")


def test_what_is_faulty_anyway_is_passed_over() -> None:
    assert list(unsupported(config({"workers": 0, "clusters": [3], "roles": 1}))) == []
