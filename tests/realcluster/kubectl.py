"""The kubectls of this machine, each run as a user would: a process with a kubeconfig, pipes or a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXTRA_PATH = "KUBEOIDCPROXY_KUBECTL_PATH"
"""Folders, like PATH's, with more kubectls: versions differ in the protocols they speak, so tests want several."""

NAME = re.compile(r"kubectl(\.1\.\d+)?")
TIMEOUT = 30.0


def installed_kubectls(environ: Mapping[str, str]) -> list[Path]:
    """Return every ``kubectl`` and ``kubectl.1.NN`` on PATH and in KUBEOIDCPROXY_KUBECTL_PATH, each name once."""
    found: dict[str, Path] = {}
    for folder in f"{environ.get(EXTRA_PATH, '')}{os.pathsep}{environ.get('PATH', '')}".split(os.pathsep):
        if not folder or not Path(folder).is_dir():
            continue
        for path in Path(folder).iterdir():
            if NAME.fullmatch(path.name) and os.access(path, os.X_OK):
                found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


@dataclass(frozen=True)
class Terminal:
    """A kubectl whose stdin, stdout and stderr are one terminal."""

    process: subprocess.Popen[bytes]
    master: int

    def resize(self, rows: int, columns: int) -> None:
        """Change the window; the kernel tells kubectl by SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read_until(self, text: str) -> str:
        """Read until ``text`` has appeared; fail at the end of output."""
        output = b""
        while text.encode() not in output:
            output += self._read()
        return output.decode()

    def finish(self) -> tuple[int, str]:
        """Return exit code and remaining output."""
        output = b""
        while piece := self._read(at_end=b""):
            output += piece
        return self.process.wait(TIMEOUT), output.decode()

    def _read(self, at_end: bytes | None = None) -> bytes:
        try:
            return os.read(self.master, 65536)
        except OSError:  # EIO: nobody holds the other side any more
            if at_end is None:
                raise
            return at_end


@dataclass(frozen=True)
class Kubectl:
    """One kubectl with one kubeconfig.

    :param home: an empty folder; kubectl keeps a cache of what servers serve in it.
    """

    program: Path
    kubeconfig: Path
    home: Path
    options: Sequence[str] = field(default=())

    def run(self, *arguments: str, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._command(arguments), input=input, capture_output=True, timeout=TIMEOUT, env=self._environment()
        )

    def output(self, *arguments: str, input: bytes | None = None) -> str:
        """Return stdout of a call that must succeed."""
        done = self.run(*arguments, input=input)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it with a pipe at each end, unbuffered."""
        pipe = subprocess.PIPE
        command = self._command(arguments)
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=self._environment())

    def on_terminal(self, *arguments: str, rows: int, columns: int) -> Terminal:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(
            ["setsid", "--ctty", *self._command(arguments)],  # only its controlling terminal sends a process SIGWINCH
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environment(),
        )
        os.close(slave)
        return Terminal(process, master)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", *self.options, *arguments]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home)}


def assert_window_is_known(kubectl: Kubectl, pod: str) -> None:
    """A process in a pod learns the size of the terminal, and each change of it."""
    script = "stty size; read line; stty size; exit 5"
    terminal = kubectl.on_terminal("exec", "-it", pod, "--", "sh", "-c", script, rows=40, columns=100)
    terminal.read_until("40 100")
    terminal.resize(50, 120)
    time.sleep(0.3)  # nothing tells when the new size has arrived
    terminal.type("\r")
    code, output = terminal.finish()
    assert "50 120" in output
    assert code == 5


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What a condition gives when it holds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.02)
    return result
