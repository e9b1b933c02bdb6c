"""Who can log in at the sandbox's issuer."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

GROUPS: dict[str, tuple[str, ...]] = {"alice": ("devs",), "bob": (), "carol": ("admins",)}


@dataclass(frozen=True, slots=True)
class Person:
    """:param password: never printed with the rest."""

    name: str
    password: str = field(repr=False)
    groups: tuple[str, ...] = ()

    @property
    def email(self) -> str:
        """An address that nobody can have."""
        return f"{self.name}@sandbox.test"

    @property
    def uid(self) -> str:
        """Stable, as an issuer's own key for a person is: the same in every sandbox."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{self.email}"))


def invent_people() -> tuple[Person, ...]:
    """alice (devs), bob (in no group) and carol (admins), each with a new random password."""
    return tuple(Person(name, secrets.token_urlsafe(16), groups) for name, groups in GROUPS.items())
