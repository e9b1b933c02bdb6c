"""What child processes need in order to find this very package and to stay out of the user's own files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from kubeoidcproxy.sandbox.trouble import SandboxError

PACKAGE_PATH = Path(__file__).parents[2]
"""Where this package was imported from: a checkout that is not installed must be named to other Pythons."""


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For a Python process of ours on loopback: no proxies to the world outside, and this package in its path."""
    kept = {name: value for name, value in environ.items() if not name.lower().endswith("_proxy")}
    paths = [str(PACKAGE_PATH), *filter(None, [environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def twistd() -> list[str]:
    """The twistd of this Python: the script beside the interpreter, as a unit file would name it.

    :raises SandboxError: there is none.
    """
    script = shutil.which("twistd", path=str(Path(sys.executable).parent))
    if script is None:
        raise SandboxError(f"no twistd beside {sys.executable}: is Twisted installed in this environment?")
    return [*_tied_to_us(), script]


def _tied_to_us() -> list[str]:
    """A prefix with which a child gets SIGTERM when we are gone, however we went; from util-linux, so on Linux only."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "TERM", "--"]
