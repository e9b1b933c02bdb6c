"""What a YAML text is read into: values, the line of each, and the faults that leave it readable."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from kubeoidcproxy.config.problems import Location


class DocumentError(Exception):
    """The text cannot be read at all."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class FaultKind(Enum):
    DUPLICATE_KEY = "duplicate key"
    KEY_IS_NO_STRING = "key is no string"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind
    location: Location
    line: int


@dataclass(slots=True)
class Node:
    """A value, the line it starts on, and the nodes of what it holds."""

    value: Any
    line: int
    children: dict[str | int, Node]
    size: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """:param second_document: the line on which another document begins, or None."""

    root: Node
    faults: tuple[Fault, ...]
    second_document: int | None = None

    @property
    def value(self) -> Any:
        return self.root.value

    def line(self, location: Location) -> int:
        """Of the value there, else of the nearest thing around it that exists."""
        node = self.root
        for step in location:
            if step not in node.children:
                break
            node = node.children[step]
        return node.line
