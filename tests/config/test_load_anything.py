"""Whatever stands in the files, loading ends with a configuration or with problems: never with a traceback."""

from __future__ import annotations

import copy
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeoidcproxy.config.authentication_file import judge_text
from kubeoidcproxy.config.load import load
from kubeoidcproxy.config.problems import ConfigError

AUTHENTICATION: dict[str, Any] = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AuthenticationConfiguration",
    "jwt": [
        {
            "issuer": {"url": "https://a.test", "discoveryURL": "https://d.test", "audiences": ["k"]},
            "claimMappings": {
                "username": {"claim": "sub", "prefix": "a:"},
                "groups": {"claim": "groups", "prefix": "a:"},
                "uid": {"claim": "sub"},
                "extra": [{"key": "a.test/b", "valueExpression": "claims.b"}],
            },
            "claimValidationRules": [{"claim": "hd", "requiredValue": "x"}],
            "userValidationRules": [{"expression": "true", "message": "m"}],
        }
    ],
    "anonymous": {"enabled": False, "conditions": [{"path": "/healthz"}]},
}
STATIC: dict[str, Any] = {
    "issuer": "urn:x",
    "audiences": ["k"],
    "certificateFile": "x.crt",
    "signingAlgorithms": ["RS256"],
    "claimMappings": {"username": {"claim": "sub", "prefix": "x:"}},
    "claimValidationRules": [{"claim": "hd", "requiredValue": "x"}],
}
CONFIG: dict[str, Any] = {
    "listen": [{"address": "127.0.0.1:0", "proxyProtocol": False}],
    "trustedProxies": ["10.0.0.0/8"],
    "tls": {"certificates": [{"certFile": "c", "keyFile": "k"}]},
    "admin": {"address": "127.0.0.1:0"},
    "authentication": {"config": AUTHENTICATION, "staticIssuers": [STATIC], "keys": {"maxStale": "1h"}},
    "clusters": [{"name": "a", "serverNames": ["a.test"], "kubeconfig": "k", "issuers": ["urn:x"]}],
    "audit": {"webhook": {"mode": "blocking"}},
    "limits": {"maxHeadSize": "64KiB"},
}

words = st.sampled_from(["", "a", "sub", "https://a.test", "10s", "64KiB", "../x", "\x7f", "*.a.test", "claims.a"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=5
)


@st.composite
def changed(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one value somewhere in it replaced or one key renamed."""
    result: Any = copy.deepcopy(document)
    place = result
    while True:
        key = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
        if not place[key] or not isinstance(place[key], dict | list) or draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    if isinstance(place, dict) and draw(st.booleans()):
        place[draw(st.text(max_size=5))] = place.pop(key)
    else:
        place[key] = draw(values)
    found: dict[str, Any] = result
    return found


@settings(max_examples=300, deadline=None)
@given(changed(CONFIG))
def test_any_change_of_the_configuration(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(ConfigError):
        path = Path(folder) / "kubeoidcproxy.yaml"
        path.write_text(json.dumps(document))
        load(path)


@settings(max_examples=300, deadline=None)
@given(changed(AUTHENTICATION))
def test_any_change_of_the_authentication_file(document: dict[str, Any]) -> None:
    for problem in judge_text(json.dumps(document).encode(), "auth.yaml").problems:
        assert problem.line == 1
        assert problem.message
