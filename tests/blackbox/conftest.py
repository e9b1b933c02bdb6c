"""One sandbox for all black-box tests: the real command as a child process, on the backend the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blackbox.callers import Callers
from blackbox.kubectls import Program, chosen_programs
from blackbox.sandbox_command import SandboxCommand

from kubeoidcproxy.sandbox.record import NAME, SandboxRecord, read_record


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRecord]:
    """A running sandbox, and at the end the proof that it leaves with 0 when it is asked to."""
    folder = tmp_path_factory.mktemp("blackbox")
    command = SandboxCommand.start(folder / "output", "--directory", str(folder / "sandbox"))
    command.wait_for(folder / "sandbox" / NAME)
    yield read_record(folder / "sandbox" / NAME)
    assert command.end() == 0, command.output


@pytest.fixture(autouse=True)
def _on_the_real_one_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("real") and not os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("the API server stand-in has no tty, cp, attach and SPDY; KUBEBUILDER_ASSETS names no real one")


PROGRAMS = [pytest.param(program, id=program.path.name) for program in chosen_programs(os.environ)]
ABSENT = pytest.param(None, id="kubectl", marks=pytest.mark.skip(reason="no kubectl is installed"))


@pytest.fixture(scope="session", params=PROGRAMS or [ABSENT])
def program(request: pytest.FixtureRequest) -> Program:
    chosen: Program = request.param
    return chosen


@pytest.fixture(scope="session")
def home(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for each kubectl, in which it keeps what API servers serve."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def callers(sandbox: SandboxRecord, program: Program, home: Path, tmp_path: Path) -> Callers:
    return Callers(sandbox, program.path, tmp_path, home)
