"""Each risky setting is told once, with its line; none of them stops anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeoidcproxy.config.load import load
from kubeoidcproxy.config.problems import Severity

HEAD = """\
listen: [{address: "127.0.0.1:0"}]
tls: {certificates: [{certFile: tls.crt, keyFile: tls.key}]}
authentication: {configFile: authentication.yaml}
clusters: [{name: prod, kubeconfig: prod.kubeconfig}]
"""
AUTHENTICATION = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n"
GITHUB = "https://token.actions.githubusercontent.com"


def issuer(url: str, prefix: str, more: str = "", claim: str = "sub") -> str:
    mappings = f"claimMappings: {{username: {{claim: {claim}, prefix: '{prefix}'}}}}"
    return f"- issuer: {{url: '{url}', audiences: [k]}}\n  {mappings}\n{more}"


def warnings(folder: Path, issuers: str = "", text: str = HEAD) -> list[str]:
    (folder / "authentication.yaml").write_text(AUTHENTICATION + (issuers or issuer("https://idp.test", "idp:")))
    path = folder / "kubeoidcproxy.yaml"
    path.write_text(text)
    found = load(path).warnings
    assert all(problem.severity is Severity.WARNING for problem in found)
    return [str(problem).replace(f"{folder}/", "") for problem in found]


def test_nothing_risky(tmp_path: Path) -> None:
    assert warnings(tmp_path) == []


def test_a_shared_issuer_without_a_rule_on_the_owner(tmp_path: Path) -> None:
    [warning] = warnings(tmp_path, issuer(GITHUB, "gh:"))
    assert warning.startswith(f"authentication.yaml:4: jwt[0]: {GITHUB} signs for everybody")
    rule = "  claimValidationRules: [{claim: repository_owner_id, requiredValue: '1'}]\n"
    assert warnings(tmp_path, issuer(GITHUB, "gh:", rule)) == []


def test_two_issuers_with_one_prefix(tmp_path: Path) -> None:
    [warning] = warnings(tmp_path, issuer("https://a.test", "x:") + issuer("https://b.test", "x:"))
    assert warning == (
        'authentication.yaml:7: jwt[1].claimMappings.username.prefix: the username prefix "x:" is also that of'
        " https://a.test: one could name users of the other"
    )


def test_an_empty_prefix(tmp_path: Path) -> None:
    [warning] = warnings(tmp_path, issuer("https://a.test", ""))
    assert warning == (
        "authentication.yaml:5: jwt[0].claimMappings.username.prefix: empty: https://a.test may name any user of the"
        " clusters"
    )


def test_an_address_as_user_name(tmp_path: Path) -> None:
    [warning] = warnings(tmp_path, issuer("https://a.test", "x:", claim="email"))
    assert "a token without email_verified is believed" in warning


@pytest.mark.parametrize(
    ("cluster", "line", "text"),
    [
        ("issuers: [https://nobody.test]", "clusters[0].issuers[0]", "there is no issuer https://nobody.test"),
        ("issuers: []", "clusters[0].issuers", "an empty list: nobody reaches this cluster"),
        ("audiences: []", "clusters[0].audiences", "an empty list: nobody reaches this cluster"),
        ("pathPrefix: false", "clusters[0]", "no server name, no path prefix"),
    ],
)
def test_a_cluster_that_nobody_reaches(tmp_path: Path, cluster: str, line: str, text: str) -> None:
    [warning] = warnings(tmp_path, text=HEAD.replace("kubeconfig}]", f"kubeconfig, {cluster}}}]"))
    assert warning.startswith(f"kubeoidcproxy.yaml:4: {line}: {text}")


def test_the_default_cluster_is_reached(tmp_path: Path) -> None:
    text = HEAD.replace("kubeconfig}]", "kubeconfig, pathPrefix: false}]")
    assert warnings(tmp_path, text=f"{text}defaultCluster: prod\n") == []


@pytest.mark.parametrize(
    ("address", "count"), [("0.0.0.0:9090", 1), (":9090", 1), ("[::1]:9090", 0), ("localhost:1", 0)]
)
def test_an_admin_address_for_everybody(tmp_path: Path, address: str, count: int) -> None:
    assert len(warnings(tmp_path, text=f"{HEAD}admin: {{address: '{address}'}}\n")) == count


@pytest.mark.parametrize(
    "setting",
    [
        "limits: {maxTokenSize: 64KiB}",
        "limits: {maxHeadSize: 2MiB}",
        "limits: {headTimeout: 10m}",
    ],
)
def test_odd_limits(tmp_path: Path, setting: str) -> None:
    [warning] = warnings(tmp_path, text=f"{HEAD}{setting}\n")
    assert warning.startswith("kubeoidcproxy.yaml:5: limits.")


@pytest.mark.parametrize("setting", ["tokenCacheTTL: 1h", "keys: {maxStale: 5m}"])
def test_odd_memories(tmp_path: Path, setting: str) -> None:
    text = HEAD.replace("authentication.yaml}", f"authentication.yaml, {setting}}}")
    assert len(warnings(tmp_path, text=text)) == 1
