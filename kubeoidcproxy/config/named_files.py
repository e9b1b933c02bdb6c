"""The files that the configuration names: there, readable, and holding what they should.

Serving certificates and kubeconfigs are left alone: a faulty one is logged and left out (contract, cli.md), by those
who read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from kubeoidcproxy.config.issuers import StaticIssuerSection
from kubeoidcproxy.config.key_files import (
    ca_file_fault,
    certificate_file_fault,
    jwks_file_fault,
    public_key_file_fault,
)
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import Location, Problem
from kubeoidcproxy.config.source import Source, Unreadable, read_file

Check = Callable[[bytes], str | None]


def _anything(data: bytes) -> None:
    """Judged by those who use it."""


# Where a file is named, as attributes, and what is wrong with its content.
_FILES: Final[tuple[tuple[str, Check], ...]] = (
    ("audit.webhook.ca_file", ca_file_fault),
    ("audit.webhook.token_file", _anything),
    ("audit.log.policy_file", _anything),
    ("roles.file", _anything),
)


class NamedFiles:
    """Reads each file where it is named; remembers which were read and what was wrong."""

    def __init__(self, source: Source) -> None:
        self.read: list[Path] = []
        self.problems: list[Problem] = []
        self._source = source

    def content(self, path: Path, location: Location) -> bytes | None:
        """None where it cannot be read, which is a problem of ``location``."""
        try:
            data = read_file(path)
        except Unreadable as error:
            self.problems.append(self._source.problem(location, str(error)))
            return None
        self.read.append(path)
        return data

    def check(self, path: Path, location: Location, fault_of: Check) -> None:
        data = self.content(path, location)
        if data is not None and (fault := fault_of(data)):
            self.problems.append(self._source.problem(location, f"{path}: {fault}"))

    def check_static_issuer(self, issuer: StaticIssuerSection, place: Location) -> None:
        """:param issuer: what of the section is right."""
        algorithms = issuer.__dict__.get("signing_algorithms")
        checks: dict[str, Check] = {
            "certificate_file": lambda data: certificate_file_fault(data, algorithms),
            "public_key_file": lambda data: public_key_file_fault(data, algorithms),
            "jwks_file": jwks_file_fault,
        }
        for name, fault_of in checks.items():
            if path := issuer.__dict__.get(name):
                self.check(path, (*place, _key(issuer, name)), fault_of)

    def check_others(self, config: Config) -> None:
        for names, fault_of in _FILES:
            for path, location in _named(config, names.split(".")):
                self.check(path, location, fault_of)


def _named(section: Any, names: list[str]) -> Iterator[tuple[Path, Location]]:
    location: Location = ()
    for name in names:
        if name not in section.__dict__:
            return
        location = (*location, _key(section, name))
        section = section.__dict__[name]
    if section is not None:
        yield section, location


def _key(section: Any, name: str) -> str:
    return type(section).model_fields[name].alias or name
