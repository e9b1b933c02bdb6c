"""A kubeconfig as a file: who may write it, YAML without surprises, look-ups that know where they are."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Kubeconfigs with certificates inside have some 10 KiB; this stops a mistaken path, not a user.
_MAX_SIZE = 4 * 1024 * 1024


class KubeconfigError(Exception):
    """A kubeconfig cannot be used. The message names file and key and quotes no value.

    ``files`` are those that were looked at: to be watched, so that a repair is noticed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One mapping of the file, with the place where it stands."""

    source: Path
    where: str
    fields: Mapping[object, Any]

    def refusal(self, problem: str) -> KubeconfigError:
        return KubeconfigError(": ".join(filter(None, (str(self.source), self.where, problem))))

    def has(self, key: str) -> bool:
        """Whether a key is there and says something. client-go takes "" and null for absent."""
        return self.fields.get(key) not in (None, "", [])

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.refusal(f"{key}: must be a string")
        return value

    def flag(self, key: str) -> bool:
        value = self.fields.get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.refusal(f"{key}: must be true or false")
        return value

    def data(self, key: str) -> str:
        """A ``*-data`` key: base64 of text."""
        try:
            return base64.b64decode("".join(self.text(key).split()), validate=True).decode()
        except (binascii.Error, ValueError):
            raise self.refusal(f"{key}: is not base64 of a PEM text") from None

    def named(self, kind: str, name: str) -> Section:
        """The entry of a list such as ``users: [{name: …, user: {…}}]``."""
        list_key = f"{kind}s"
        entries = self.fields.get(list_key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self.refusal(f"{list_key}: must be a list of mappings")
        found = [entry for entry in entries if entry.get("name") == name]
        if len(found) != 1:
            problem = f'has no entry named "{name}"' if not found else f'has more than one entry named "{name}"'
            raise self.refusal(f"{list_key}: {problem}")
        inner = found[0].get(kind)
        where = f"{list_key}[{name}].{kind}"
        if inner is None:
            inner = {}
        if not isinstance(inner, dict):
            raise self.refusal(f"{where}: must be a mapping")
        return Section(self.source, where, inner)


def read_document(path: Path) -> Section:
    """The whole file, if only root and we may have written it."""
    text = _read_guarded(path)
    try:
        document = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        # Not str(error): that quotes the line.
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise KubeconfigError(f"{path}{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise KubeconfigError(f"{path}: is not YAML") from None
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: is not a kubeconfig")
    return Section(path, "", document)


class _StrictLoader(yaml.SafeLoader):
    """The last of two equal keys would win in silence (YAML 1.2 §3.2.1.1 forbids them)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, Any]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
            seen.add((key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)))
        return super().construct_mapping(node, deep)


def _read_guarded(path: Path) -> str:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KubeconfigError(f"{path}: is not a regular file")
            _refuse_writable(path, status)
            for folder in _folders(path):
                _refuse_writable(folder, os.stat(folder))
            text = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise KubeconfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > _MAX_SIZE:
        raise KubeconfigError(f"{path}: is larger than {_MAX_SIZE // 2**20} MiB")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise KubeconfigError(f"{path}: is not UTF-8") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would hold us for ever


def _folders(path: Path) -> Iterator[Path]:
    """Its folder, and that of each symbolic link on the way: whoever may write there may put another file in place."""
    while True:
        yield path.parent
        if not path.is_symlink():
            return
        path = path.parent / os.readlink(path)


def _refuse_writable(path: Path, status: os.stat_result) -> None:
    # No exception for sticky folders like /tmp: anybody can put the file there first.
    if status.st_uid not in (0, os.geteuid()):
        raise KubeconfigError(f"{path}: belongs to another user than root and the daemon's")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KubeconfigError(f"{path}: others than root and the daemon's user may write it (chmod go-w)")
