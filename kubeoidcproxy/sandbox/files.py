"""The sandbox's folder: who may enter it, where things lie in it, how they are written."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubeoidcproxy.sandbox.record import NAME as RECORD
from kubeoidcproxy.sandbox.trouble import SandboxError

MARK = ".kubeoidcproxy-sandbox"
"""The file that says: what lies here is a sandbox's, and a new one may throw it away."""


@dataclass(frozen=True, slots=True)
class SandboxFiles:
    """Where things lie."""

    directory: Path

    @property
    def record(self) -> Path:
        return self.directory / RECORD

    @property
    def kubeconfig(self) -> Path:
        """Of the people and pipelines."""
        return self.directory / "kubeconfig"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def deployment(self) -> Path:
        """What the pipeline of the demonstration applies."""
        return self.directory / "deployment.yaml"

    @property
    def proxy(self) -> Path:
        """All that the daemon reads and writes, as an operator would lay it out."""
        return self.directory / "proxy"

    @property
    def clusters(self) -> Path:
        return self.directory / "clusters"

    @property
    def secrets(self) -> Path:
        """What people and pipelines keep to themselves: passwords, keys."""
        return self.directory / "secrets"

    @property
    def home(self) -> Path:
        """``HOME`` of the kubectls that the sandbox itself starts: they cache there what API servers serve."""
        return self.directory / "home"


@contextmanager
def occupied(directory: Path | None) -> Iterator[SandboxFiles]:
    """A folder that only its owner can enter, emptied: a temporary one, gone at the end, or the given one, which stays.

    :raises SandboxError: the given folder holds something else, or another sandbox runs in it.
    """
    if directory is not None:
        with _claimed(directory.absolute()) as files:
            yield files
        return
    temporary = Path(tempfile.mkdtemp(prefix="kubeoidcproxy-sandbox-"))
    try:
        with _claimed(temporary) as files:
            yield files
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _claimed(directory: Path) -> Iterator[SandboxFiles]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = directory / MARK
    if not mark.exists() and any(directory.iterdir()):
        raise SandboxError(f"{directory} is not empty, and what is in it is no sandbox's")
    directory.chmod(0o700)
    with mark.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(f"another sandbox runs in {directory}") from None
        _clear(directory)
        files = SandboxFiles(directory)
        for folder in (files.proxy, files.clusters, files.secrets, files.home):
            folder.mkdir(mode=0o700)
        yield files


def _clear(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.name == MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner may read, complete from the moment it is there."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
    return path


def write_yaml(path: Path, document: object) -> Path:
    """In the order given. By way of JSON, so that nothing is written as an alias or a Python object."""
    return write_private(path, yaml.safe_dump(json.loads(json.dumps(document, default=str)), sort_keys=False))
