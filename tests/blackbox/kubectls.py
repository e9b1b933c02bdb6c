"""Which kubectls the black-box tests run: versions differ in the protocols they speak."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from realcluster.kubectl import EXTRA_PATH, installed_kubectls

CHOICE = "KUBEOIDCPROXY_KUBECTLS"
"""Which of those found: names like ``kubectl`` and ``kubectl.1.27``, separated by blanks, or ``all``."""

DEFAULT_CHOICE = "kubectl kubectl.1.28 kubectl.1.30 kubectl.1.33"
"""exec and port-forward by SPDY; exec by WebSocket; both by WebSocket; and the one people type."""


@dataclass(frozen=True)
class Program:
    """One kubectl."""

    path: Path

    @cached_property
    def minor(self) -> int:
        """NN of its version 1.NN."""
        command = [str(self.path), "version", "--client", "--output=json"]
        version = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
        return int(version["clientVersion"]["minor"].rstrip("+"))

    @property
    def execs_by_websocket(self) -> bool:
        return self.minor >= 30

    @property
    def forwards_by_websocket(self) -> bool:
        return self.minor >= 31


def chosen_programs(environ: Mapping[str, str]) -> list[Program]:
    """Of those on PATH, beside what the ``kubectl`` there really is, and in KUBEOIDCPROXY_KUBECTL_PATH."""
    installed = shutil.which("kubectl", path=environ.get("PATH"))
    beside = [] if installed is None else [str(Path(installed).resolve().parent)]
    folders = os.pathsep.join([environ.get(EXTRA_PATH, ""), *beside])
    found = installed_kubectls({**environ, EXTRA_PATH: folders})
    choice = environ.get(CHOICE, DEFAULT_CHOICE).split()
    return [Program(path) for path in found if choice == ["all"] or path.name in choice]
