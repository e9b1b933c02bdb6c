"""``kubeoidcproxy sandbox`` of the very package under test, as a child process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import kubeoidcproxy

ENTRY = "import sys; from kubeoidcproxy.cli.main import main; sys.exit(main())"
START_SECONDS = 90.0
END_SECONDS = 60.0


@dataclass(frozen=True)
class SandboxCommand:
    """One run of it; its output is in a file."""

    process: subprocess.Popen[bytes]
    output_file: Path

    @classmethod
    def start(cls, output_file: Path, *arguments: str, environ: Mapping[str, str] = os.environ) -> SandboxCommand:
        environment = {**environ, "PYTHONPATH": str(Path(kubeoidcproxy.__file__).parents[1])}
        command = [sys.executable, "-c", ENTRY, "sandbox", *arguments]
        with output_file.open("wb") as file:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        return cls(process, output_file)

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def wait_for(self, file: Path) -> None:
        """Wait until a file is there; fail if the command has ended before."""
        deadline = time.monotonic() + START_SECONDS
        while not file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"the sandbox does not start:\n{self.output}")
            time.sleep(0.05)

    def end(self) -> int:
        """Ask it to end, as systemd or a Ctrl-C would; its exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its own end; its exit code."""
        try:
            return self.process.wait(END_SECONDS)
        finally:
            self.process.kill()
