"""One thing that is wrong or risky in a configuration, and where; and the error that holds all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

Location = tuple[str | int, ...]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """:param line: from 1; of the value at fault, or of what should hold it.
    :param path: as ``dotted`` writes it; "" for the whole file.
    """

    file: str
    line: int
    path: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: "
        return f"{place}{self.path}: {self.message}" if self.path else f"{place}{self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` says everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


def dotted(location: Location) -> str:
    """``clusters[0].kubeconfig``; a key that is no plain word stands in brackets, as in Kubernetes' field paths."""
    text = ""
    for step in location:
        if isinstance(step, int) or not _PLAIN_KEY.fullmatch(step):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def without_indices(location: Location) -> str:
    """``clusters.kubeconfig``: the name of a key, whichever cluster it stands in."""
    return ".".join(step for step in location if isinstance(step, str))
