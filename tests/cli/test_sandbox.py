"""`kubeoidcproxy sandbox` hands over what it was told."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

from kubeoidcproxy.cli.main import main


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Namespace]:
    """What the sandbox was started with; it ends with 1."""
    given: list[Namespace] = []
    module = ModuleType("kubeoidcproxy.sandbox.run")
    module.__dict__["main"] = lambda arguments: given.append(arguments) or 1
    monkeypatch.setitem(sys.modules, "kubeoidcproxy.sandbox.run", module)
    return given


def test_options(started: list[Namespace]) -> None:
    """Directory, port, and whether to end after the demonstration; its exit code is ours."""
    assert main(["sandbox", "--directory", "/x", "--port", "8443", "--once"]) == 1
    assert started == [Namespace(directory=Path("/x"), port=8443, once=True)]


def test_defaults(started: list[Namespace]) -> None:
    """A folder and a port of its own choice."""
    main(["sandbox"])
    assert started == [Namespace(directory=None, port=0, once=False)]
