from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from kubeoidcproxy.config.authentication import ClaimMappings, ClaimRule, PrefixedMapping, StaticIssuer
from kubeoidcproxy.config.load import load
from kubeoidcproxy.config.problems import ConfigError

HEAD = """\
listen: [{address: "127.0.0.1:0"}]
tls: {certificates: [{certFile: tls.crt, keyFile: tls.key}]}
clusters: [{name: prod, kubeconfig: prod.kubeconfig}]
authentication:
  staticIssuers:
"""
ISSUER = """\
  - issuer: "urn:remote-pipeline"
    audiences: [kubernetes]
    certificateFile: pipeline.crt
    claimMappings: {username: {claim: sub, prefix: "pipeline:"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
    (tmp_path / "pipeline.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "kubeoidcproxy.yaml"
    path.write_text(HEAD + text)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_a_static_issuer(folder: Path) -> None:
    rules = "    claimValidationRules: [{claim: env, requiredValue: prod}]\n    signingAlgorithms: [RS256, ES256]\n"
    loaded = load(write(folder, ISSUER + rules))
    assert loaded.static_issuers == (
        StaticIssuer(
            issuer="urn:remote-pipeline",
            audiences=("kubernetes",),
            claim_mappings=ClaimMappings(PrefixedMapping("sub", "pipeline:")),
            claim_validation_rules=(ClaimRule("env", "prod"),),
            certificate_file=folder / "pipeline.crt",
            signing_algorithms=("RS256", "ES256"),
        ),
    )
    assert loaded.authentication.jwt == ()
    assert folder / "pipeline.crt" in loaded.files


def test_its_mappings_follow_kubes_rules(folder: Path) -> None:
    text = """\
  - issuer: "urn:remote-pipeline"
    audiences: [kubernetes]
    certificateFile: pipeline.crt
    claimMappings:
      username: {claim: sub}
      groups: {claim: 5}
      uid: {claims: sub}
    claimValidationRules:
    - {claim: a, expression: b}
"""
    assert problems(write(folder, text)) == [
        "kubeoidcproxy.yaml:11: authentication.staticIssuers[0].claimMappings.groups.claim: json: cannot unmarshal"
        " number into field authentication.staticIssuers[0].claimMappings.groups.claim of type string",
        "kubeoidcproxy.yaml:12: authentication.staticIssuers[0].claimMappings.uid.claims: strict decoding error:"
        ' unknown field "authentication.staticIssuers[0].claimMappings.uid.claims"',
        'kubeoidcproxy.yaml:14: authentication.staticIssuers[0].claimValidationRules[0]: Invalid value: "a": claim and'
        " expression can't both be set",
    ]


def test_a_required_prefix(folder: Path) -> None:
    [problem] = problems(write(folder, ISSUER.replace(', prefix: "pipeline:"', "")))
    assert problem.startswith(
        "kubeoidcproxy.yaml:9: authentication.staticIssuers[0].claimMappings.username.prefix: Requ"
    )


def test_expressions_are_not_served_yet(folder: Path) -> None:
    text = ISSUER + "    userValidationRules: [{expression: 'true'}]\n"
    [problem] = problems(write(folder, text))
    assert problem == (
        "kubeoidcproxy.yaml:10: authentication.staticIssuers[0].userValidationRules[0].expression: "
        "not supported yet: authentication.staticIssuers.userValidationRules.expression"
    )


def test_its_certificate_must_be_there(tmp_path: Path) -> None:
    assert problems(write(tmp_path, ISSUER)) == [
        "kubeoidcproxy.yaml:8: authentication.staticIssuers[0].certificateFile: cannot read pipeline.crt:"
        " No such file or directory"
    ]


def test_its_certificate_must_be_one(folder: Path) -> None:
    (folder / "pipeline.crt").write_text("hello")
    assert problems(write(folder, ISSUER)) == [
        "kubeoidcproxy.yaml:8: authentication.staticIssuers[0].certificateFile: pipeline.crt:"
        " holds no certificate (PEM)"
    ]


def test_its_algorithms_must_fit_its_keys(folder: Path) -> None:
    [problem] = problems(write(folder, ISSUER + "    signingAlgorithms: [ES256]\n"))
    assert "none of ES256 fits this key" in problem


def test_one_issuer_once(folder: Path) -> None:
    assert problems(write(folder, ISSUER + ISSUER)) == [
        'kubeoidcproxy.yaml:10: authentication.staticIssuers[1].issuer: Duplicate value: "urn:remote-pipeline"'
    ]


def test_one_issuer_once_across_both_kinds(folder: Path) -> None:
    text = ISSUER.replace("urn:remote-pipeline", "https://idp.test") + (
        "  config:\n    apiVersion: apiserver.config.k8s.io/v1\n    kind: AuthenticationConfiguration\n    jwt:\n"
        "    - issuer: {url: https://idp.test, audiences: [kubernetes]}\n"
        "      claimMappings: {username: {claim: sub, prefix: 'idp:'}}\n"
    )
    assert problems(write(folder, text)) == [
        'kubeoidcproxy.yaml:6: authentication.staticIssuers[0].issuer: Duplicate value: "https://idp.test"'
    ]
