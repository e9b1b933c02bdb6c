"""`kubeoidcproxy schema`."""

from __future__ import annotations

import json

import pytest

from kubeoidcproxy.cli.main import main


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, alone on standard output."""
    assert main(["schema"]) == 0
    out, err = capsys.readouterr()
    assert "clusters" in json.loads(out)["properties"]
    assert err == ""
