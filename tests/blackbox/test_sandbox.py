"""The command ``kubeoidcproxy sandbox`` keeps what it promises to the person who typed it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from blackbox.sandbox_command import SandboxCommand

from kubeoidcproxy.sandbox.record import NAME, SandboxRecord, read_record

NO_CONTROL_PLANE = {name: value for name, value in os.environ.items() if name != "KUBEBUILDER_ASSETS"}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def started(tmp_path: Path, output: Path) -> Iterator[SandboxCommand]:
    """A sandbox of its own, on stand-ins, that runs."""
    directory = tmp_path / "sandbox"
    command = SandboxCommand.start(output, "--directory", str(directory), environ=NO_CONTROL_PLANE)
    command.wait_for(directory / NAME)
    yield command
    command.end()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl is installed")
def test_once_shows_a_person_and_a_pipeline_and_leaves_nothing_behind(output: Path) -> None:
    command = SandboxCommand.start(output, "--once")
    assert command.wait() == 0, command.output
    assert re.search(r"^\$ kubectl .*get pods\nNAME .*\nweb-0 +1/1 +Running ", command.output, re.MULTILINE)
    assert "\ndeployment.apps/shop created\n" in command.output
    directory = command.output.splitlines()[0].rpartition(" ")[2]
    assert directory.startswith("/")
    assert not Path(directory).exists()


def test_without_kubectl_it_makes_do_with_plain_requests(tmp_path: Path, output: Path) -> None:
    environ = {**NO_CONTROL_PLANE, "PATH": str(tmp_path)}
    command = SandboxCommand.start(output, "--once", environ=environ)
    assert command.wait() == 0, command.output
    assert "kubectl is not installed" in command.output
    assert "< 200 PodList: web-0\n" in command.output
    assert "< 201 Deployment: shop\n" in command.output


def test_only_its_owner_reads_what_it_writes(sandbox: SandboxRecord) -> None:
    assert stat.S_IMODE(sandbox.directory.stat().st_mode) == 0o700
    secrets = [*sandbox.passwords.values(), sandbox.kubeconfig, sandbox.issuers.pipeline_key_file]
    proxy = [sandbox.proxy.config_file, *sandbox.proxy.config_file.parent.glob("*.kubeconfig")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets + proxy} == {0o600}


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, output: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").write_text("three years")
    command = SandboxCommand.start(output, "--once", "--directory", str(mine))
    assert command.wait() == 1
    assert command.output == f"kubeoidcproxy sandbox: {mine} is not empty, and what is in it is no sandbox's\n"
    assert [file.name for file in mine.iterdir()] == ["thesis"]


def test_a_folder_in_use_is_left_alone(sandbox: SandboxRecord, output: Path) -> None:
    command = SandboxCommand.start(output, "--once", "--directory", str(sandbox.directory))
    assert command.wait() == 1
    assert command.output == f"kubeoidcproxy sandbox: another sandbox runs in {sandbox.directory}\n"


def test_a_port_in_use_is_reported(sandbox: SandboxRecord, output: Path) -> None:
    port = sandbox.proxy.address.rpartition(":")[2]
    command = SandboxCommand.start(output, "--once", "--port", port, environ=NO_CONTROL_PLANE)
    assert command.wait() == 1
    assert "kubeoidcproxy sandbox: the proxy has ended at once" in command.output
    assert "Address already in use" in command.output


def test_it_ends_when_the_proxy_ends(started: SandboxCommand, tmp_path: Path) -> None:
    os.kill(read_record(tmp_path / "sandbox" / NAME).proxy.process, signal.SIGKILL)
    assert started.wait() == 1
    assert "kubeoidcproxy sandbox: the proxy has ended" in started.output


def test_ctrl_c_ends_it_and_keeps_the_given_folder(started: SandboxCommand, tmp_path: Path) -> None:
    record = read_record(tmp_path / "sandbox" / NAME)
    started.process.send_signal(signal.SIGINT)
    assert started.wait() in (0, 1)  # 1 if it came before the demonstration was over
    assert record.kubeconfig.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(record.proxy.process, 0)


def test_a_folder_of_an_earlier_sandbox_is_used_again(started: SandboxCommand, tmp_path: Path) -> None:
    started.end()
    before = read_record(tmp_path / "sandbox" / NAME)
    command = SandboxCommand.start(
        tmp_path / "again", "--once", "--directory", str(before.directory), environ=NO_CONTROL_PLANE
    )
    assert command.wait() == 0, command.output
    assert read_record(before.directory / NAME).proxy.process != before.proxy.process
