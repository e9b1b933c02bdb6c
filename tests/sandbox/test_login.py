"""The exec plugin of the sandbox's kubeconfig."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kubeoidcproxy.sandbox import login
from kubeoidcproxy.sandbox.credentials import claims_of
from kubeoidcproxy.sandbox.tokens import new_rsa_key


def test_a_pipeline_signs_for_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = new_rsa_key("").private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = tmp_path / "key"
    file.write_bytes(key)
    assert login.main(login.pipeline_arguments(file, "deployer")) == 0
    credential = json.loads(capsys.readouterr().out)
    assert (credential["apiVersion"], credential["kind"]) == ("client.authentication.k8s.io/v1", "ExecCredential")
    claims = claims_of(credential["status"]["token"])
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("urn:remote-pipeline", "deployer", "kubernetes")
    assert claims["exp"] - claims["iat"] == 60


def test_who_cannot_log_in_is_told_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert login.main(login.pipeline_arguments(tmp_path / "none", "deployer")) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("kubeoidcproxy sandbox: cannot log in: [Errno 2] No such file")
