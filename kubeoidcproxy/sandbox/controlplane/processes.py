"""Child processes that die with us, however we die, and whose logs explain why they died."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TAIL_LINES = 15
POLL_SECONDS = 0.05


class ControlPlaneError(Exception):
    """The control plane cannot be started or has broken down; the text is for the person who started it."""


def reserve_port() -> socket.socket:
    """Bind a free port of 127.0.0.1 and hold it, not listening, for a server that binds it with SO_REUSEPORT.

    A port that was merely found free may be another's by the time the server gets to it. Close the socket at the end.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation


class ProcessGroup:
    """Processes in a process group of their own, tied to this process by a pipe.

    The group's leader is a shell that reads from a pipe only we hold: when we are gone, even by SIGKILL, its read ends
    and it kills the group. (PR_SET_PDEATHSIG would kill when the *thread* that started the processes ends.)
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._leader = subprocess.Popen(
            ["/bin/sh", "-c", "read _; kill -9 0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start one process in the group's folder, its output appended to ``log``.

        :param name: what messages call it.
        :raises ControlPlaneError: the system cannot run it.
        """
        with log.open("ab") as output:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    process_group=self._leader.pid,
                )
            except OSError as error:
                raise ControlPlaneError(f"{name} cannot be run: {error}") from error
        self._processes[name] = (process, log)

    def wait_until(self, name: str, ready: Callable[[], bool], *, deadline: float) -> None:
        """Poll ``ready`` until it holds.

        :param name: the process it depends on, whose log is quoted when time is up.
        :param deadline: on ``time.monotonic()``'s clock.
        :raises ControlPlaneError: any process of the group has ended, or the deadline has passed.
        """
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"{name} is not ready in time{self._log_tail(name)}")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise ControlPlaneError if a process has ended."""
        for name, (process, _) in self._processes.items():
            if process.poll() is not None:
                raise ControlPlaneError(f"{name} has ended with status {process.returncode}{self._log_tail(name)}")

    def stop(self) -> None:
        """Kill all and wait for them; again and again without harm.

        SIGKILL, because kube-apiserver takes up to twelve seconds to leave when asked, and there is nothing to save.
        """
        if self._leader.returncode is None:
            os.killpg(self._leader.pid, signal.SIGKILL)
            self._leader.communicate()
        for process, _ in self._processes.values():
            process.wait()
        self._processes.clear()

    def _log_tail(self, name: str) -> str:
        log = self._processes[name][1]
        lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([f"; the end of {log}:", *lines])
