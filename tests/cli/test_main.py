"""The companion command: exit codes, and what goes where."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kubeoidcproxy
from kubeoidcproxy.cli.main import COMMANDS, main


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("--nonsense",), ("schema", "extra"), ("check-config",)])
def test_wrong_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Code 2, and not a word on standard output."""
    assert exit_code(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: kubeoidcproxy")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """A result, so on standard output."""
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"kubeoidcproxy {kubeoidcproxy.__version__}\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command is in it."""
    assert exit_code("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its module is found, and says what it takes."""
    assert exit_code(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: kubeoidcproxy {name} ")


def test_only_the_chosen_command_is_loaded() -> None:
    """`--version` and shell completion must not wait for pydantic, Twisted or a Kubernetes client."""
    program = (
        "import sys; from kubeoidcproxy.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'pydantic', 'twisted', 'kubernetes', 'yaml'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == "[]\n"


def test_a_reader_that_leaves_is_no_error_to_shout_about() -> None:
    """`kubeoidcproxy schema | head -1`."""
    program = "import sys; from kubeoidcproxy.cli.main import main; sys.exit(main(['schema']))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait() == 1
        assert process.stderr.read() == b""
