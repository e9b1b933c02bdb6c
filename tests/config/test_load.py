from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kubeoidcproxy.config.authentication import ClaimMappings, PrefixedMapping
from kubeoidcproxy.config.load import load
from kubeoidcproxy.config.problems import ConfigError

AUTHENTICATION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: https://idp.test, audiences: [kubernetes]}
  claimMappings: {username: {claim: sub, prefix: "idp:"}}
"""
LEAST = """\
listen: [{address: "127.0.0.1:0"}]
tls: {certificates: [{certFile: tls.crt, keyFile: tls.key}]}
authentication: {configFile: authentication.yaml}
clusters: [{name: prod, kubeconfig: prod.kubeconfig}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "authentication.yaml").write_text(AUTHENTICATION)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "kubeoidcproxy.yaml"
    path.write_text(text)
    return path


def problems(path: Path) -> list[str]:
    """Without the folder in front."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [str(problem).replace(f"{path.parent}{os.sep}", "") for problem in caught.value.problems]


def test_the_least_that_works(folder: Path) -> None:
    """Serving certificates and kubeconfigs need not be there: others report and leave them out (contract)."""
    path = write(folder, LEAST)
    loaded = load(path)
    assert loaded.config.tls.certificates[0].cert_file == folder / "tls.crt"
    assert [one.issuer.url for one in loaded.authentication.jwt] == ["https://idp.test"]
    assert loaded.authentication.jwt[0].claim_mappings == ClaimMappings(PrefixedMapping("sub", "idp:"))
    assert loaded.files == (path, folder / "authentication.yaml")
    assert loaded.warnings == ()


def test_five_mistakes_print_five_lines(folder: Path) -> None:
    text = """\
listen:
- address: 127.0.0.1
tls: {certificates: [{certFile: tls.crt, keyFile: tls.key}]}
authentication: {configFile: authentication.yaml}
clusters:
- name: prod
  kubeconfig: prod.kubeconfig
  connectTimeout: 10
- name: prod
  kubeconfig: other.kubeconfig
defaultCluster: staging
limit: {}
"""
    assert problems(write(folder, text)) == [
        'kubeoidcproxy.yaml:2: listen[0].address: must be "host:port", "[IPv6 address]:port" or "systemd:NAME"',
        'kubeoidcproxy.yaml:8: clusters[0].connectTimeout: must be a duration such as "500ms", "10s", "5m" or "1h"',
        "kubeoidcproxy.yaml:9: clusters[1].name: cluster prod is defined twice",
        "kubeoidcproxy.yaml:11: defaultCluster: there is no cluster staging",
        "kubeoidcproxy.yaml:12: limit: unknown key",
    ]


def test_problems_of_both_files_come_together(folder: Path) -> None:
    (folder / "authentication.yaml").write_text(AUTHENTICATION.replace("https:", "http:"))
    assert problems(write(folder, LEAST + "workers: 0\n")) == [
        'kubeoidcproxy.yaml:5: workers: must be a number from 1 on, or "auto"',
        'authentication.yaml:4: jwt[0].issuer.url: Invalid value: "http://idp.test": URL scheme must be https',
    ]


def test_the_line_of_a_missing_key_is_that_of_its_parent(folder: Path) -> None:
    text = LEAST.replace("clusters: [{name: prod, kubeconfig: prod.kubeconfig}]", "clusters:\n\n- name: prod")
    assert problems(write(folder, text)) == ["kubeoidcproxy.yaml:6: clusters[0].kubeconfig: required"]


def test_keys_given_twice_and_keys_that_are_no_strings(folder: Path) -> None:
    text = LEAST + "limits:\n  headTimeout: 10s\n  headTimeout: 20s\non: 1\n"
    assert problems(write(folder, text)) == [
        "kubeoidcproxy.yaml:7: limits.headTimeout: given twice",
        "kubeoidcproxy.yaml:8: true: unknown key",
        "kubeoidcproxy.yaml:8: true: a key must be a string: quote it",
    ]


def test_one_document_is_expected(folder: Path) -> None:
    assert problems(write(folder, LEAST + "---\nlisten: []\n")) == [
        "kubeoidcproxy.yaml:5: a second document: one is expected"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "kubeoidcproxy.yaml:1: empty config data"),
        ("- a\n", "kubeoidcproxy.yaml:1: must be a mapping"),
        ("a: 1\nb: [\n", "kubeoidcproxy.yaml:3: yaml: did not find expected node content"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(write(tmp_path, text)) == [problem]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert problems(tmp_path / "x.yaml") == ["x.yaml:1: cannot read x.yaml: No such file or directory"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    [problem] = problems(tmp_path)
    assert problem.endswith("is no regular file")


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "authentication.yaml")
    [problem] = problems(write(tmp_path, LEAST))
    assert problem.endswith("is no regular file")


def test_a_named_file_that_is_missing(tmp_path: Path) -> None:
    assert problems(write(tmp_path, LEAST)) == [
        "kubeoidcproxy.yaml:3: authentication.configFile: cannot read authentication.yaml: No such file or directory"
    ]


def test_an_unsupported_feature_does_not_hide_its_missing_file(folder: Path) -> None:
    text = LEAST + "audit:\n  webhook:\n    url: https://collector.test\n    caFile: ca.crt\n"
    assert problems(write(folder, text)) == [
        "kubeoidcproxy.yaml:7: audit.webhook.url: not supported yet: audit.webhook.url",
        "kubeoidcproxy.yaml:8: audit.webhook.caFile: cannot read ca.crt: No such file or directory",
        "kubeoidcproxy.yaml:8: audit.webhook.caFile: not supported yet: audit.webhook.caFile",
    ]


def test_an_inline_configuration_is_kubes_too(tmp_path: Path) -> None:
    text = LEAST.replace("authentication: {configFile: authentication.yaml}", "authentication:\n  config:\n")
    inline = "".join(f"    {line}\n" for line in AUTHENTICATION.splitlines())
    path = write(tmp_path, text.replace("  config:\n\n", f"  config:\n{inline}"))
    assert load(path).authentication.jwt[0].issuer.url == "https://idp.test"
    path = write(tmp_path, path.read_text().replace("https:", "http:"))
    assert problems(path) == [
        "kubeoidcproxy.yaml:8: authentication.config.jwt[0].issuer.url: Invalid value: "
        '"http://idp.test": URL scheme must be https'
    ]
    path = write(tmp_path, path.read_text().replace("http:", "https:").replace("[kubernetes]", "[]"))
    assert problems(path) == [
        "kubeoidcproxy.yaml:8: authentication.config.jwt[0].issuer.audiences: Required value: "
        "at least one jwt[0].issuer.audiences is required"
    ]


def test_a_key_given_twice_inline_is_told_once(tmp_path: Path) -> None:
    text = LEAST.replace(
        "configFile: authentication.yaml",
        "config: {apiVersion: apiserver.config.k8s.io/v1, jwt: [], jwt: [], kind: AuthenticationConfiguration}",
    )
    assert problems(write(tmp_path, text)) == ["kubeoidcproxy.yaml:3: authentication.config.jwt: given twice"]


def test_loading_is_fast(folder: Path) -> None:
    """The whole daemon has one second to be ready."""
    path = write(folder, LEAST)
    load(path)
    start = time.perf_counter()
    load(path)
    assert time.perf_counter() - start < 0.1
