"""`kubeoidcproxy check-config`: every problem, with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import Authority

from kubeoidcproxy.cli.main import main

SERVING = Authority().issue("proxy.example.com")
PIPELINE = Authority().issue(common_name="pipeline")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A valid configuration with all the files that it names."""
    tmp_path.chmod(0o700)
    SERVING.write(tmp_path)
    PIPELINE.write(tmp_path, "pipeline")
    (tmp_path / "prod.kubeconfig").write_text(yaml.safe_dump(kubeconfig()))
    path = tmp_path / "kubeoidcproxy.yaml"
    path.write_text(
        "listen:\n"
        '  - address: "127.0.0.1:0"\n'
        "tls:\n"
        "  certificates:\n"
        "    - {certFile: tls.crt, keyFile: tls.key}\n"
        "authentication:\n"
        "  staticIssuers:\n"
        "    - issuer: urn:pipeline\n"
        "      audiences: [kubernetes]\n"
        "      certificateFile: pipeline.crt\n"
        '      claimMappings: {username: {claim: sub, prefix: "pipeline:"}}\n'
        "clusters:\n"
        "  - name: prod\n"
        "    serverNames: [prod.example.com]\n"
        "    kubeconfig: prod.kubeconfig\n"
    )
    return path


def kubeconfig() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }


def checked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["check-config", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_valid_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The contract's words, and an empty list for programs."""
    assert checked(capsys, config)[:2] == (0, "configuration is valid\n")
    code, out, _ = checked(capsys, config, "--output", "json")
    assert (code, json.loads(out)) == (0, [])


def test_every_problem_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`file:line: path: message`, on standard output."""
    config.write_text(config.read_text() + "    bogus: 1\nlimits:\n  headTimeout: soon\n")
    code, out, err = checked(capsys, config)
    first, second = out.splitlines()
    assert (code, err) == (1, "")
    assert first.startswith(f"{config}:16: clusters[0].bogus: ")
    assert second.startswith(f"{config}:18: limits.headTimeout: ")


def test_problems_for_programs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of objects with four members each."""
    config.write_text(config.read_text() + "bogus: 1\n")
    code, out, _ = checked(capsys, config, "--output", "json")
    (problem,) = json.loads(out)
    assert (code, list(problem)) == (1, ["file", "line", "path", "message"])
    assert (problem["file"], problem["line"], problem["path"]) == (str(config), 16, "bogus")


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finding like others, no traceback."""
    code, out, _ = checked(capsys, tmp_path / "missing.yaml")
    assert code == 1
    assert "missing.yaml:1: cannot read" in out


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("tls.key", None, "5: tls.certificates[0]: "),
        ("tls.crt", SERVING.cert_pem[:200], "5: tls.certificates[0]: "),
        ("tls.key", PIPELINE.key_pem, "5: tls.certificates[0]: "),
        ("prod.kubeconfig", None, "15: clusters[0].kubeconfig: "),
        ("prod.kubeconfig", "{", "15: clusters[0].kubeconfig: "),
    ],
)
def test_what_the_daemon_would_leave_out(
    config: Path, name: str, content: str | None, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A serving pair or a kubeconfig that cannot be read is reported here, at the place that names it."""
    file = config.parent / name
    file.unlink()
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)
    code, out, _ = checked(capsys, config)
    assert code == 1
    assert out.startswith(f"{config}:{place}")
    assert "PRIVATE" not in out
    assert out.count("\n") == 1


def test_what_is_risky_is_a_warning(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error; the configuration is valid."""
    config.write_text(config.read_text() + 'admin: {address: "0.0.0.0:9090"}\n')
    code, out, err = checked(capsys, config)
    assert (code, out) == (0, "configuration is valid\n")
    assert err.startswith(f"warning: {config}:16: admin.address: ")


def test_online_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No option is ignored."""
    code, out, err = checked(capsys, config, "--online")
    assert (code, out) == (2, "")
    assert "not supported yet" in err
