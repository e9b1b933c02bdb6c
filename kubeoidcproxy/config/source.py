"""A file that was read, and problems in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kubeoidcproxy.config.document import MAX_BYTES
from kubeoidcproxy.config.kube_errors import FieldError
from kubeoidcproxy.config.nodes import Document
from kubeoidcproxy.config.problems import Location, Problem, Severity, dotted


class Unreadable(Exception):
    """The text says which file and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """:param base: where in the file the part at hand begins."""

    name: str
    document: Document
    base: Location = ()

    def problem(self, location: Location, message: str, severity: Severity = Severity.ERROR) -> Problem:
        return Problem(self.name, self.document.line(location), dotted(location), message, severity)

    def of_kube(self, error: FieldError) -> Problem:
        return self.problem(error.location, error.text)

    def warning(self, location: Location, message: str) -> Problem:
        return self.problem((*self.base, *location), message, Severity.WARNING)


# Opening a named pipe would wait for somebody to write; a device may never end.
_NO_FILE: Final = "is no regular file"


def read_file(path: Path) -> bytes:
    """:raises Unreadable:"""
    try:
        if path.exists() and not path.is_file():
            raise Unreadable(f"{path} {_NO_FILE}")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{path} is larger than {MAX_BYTES} bytes")
    return data
