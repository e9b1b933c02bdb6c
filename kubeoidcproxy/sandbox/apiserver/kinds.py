"""What is known of a kind of object: a row of the table in ``resources``."""

from __future__ import annotations

from dataclasses import dataclass

RBAC = "rbac.authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
AUTHORIZATION = "authorization.k8s.io"

_OBJECT_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """Something below an object, such as ``pods/log``; its kind may live in another group."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group_version: tuple[str, str] = ("", "v1")


@dataclass(frozen=True, slots=True, eq=False)  # rows are compared and hashed by identity: each exists once
class Resource:
    """A row of the table. ``fields`` are the top-level fields of the kind, besides kind, apiVersion and metadata."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    fields: tuple[str, ...] = ("spec", "status")
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _OBJECT_VERBS
    subresources: tuple[Subresource, ...] = ()
    selectable: tuple[str, ...] = ()  # fields for fieldSelector, beside name and namespace

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored(self) -> bool:
        """Objects are kept; reviews are only answered."""
        return "get" in self.verbs

    def subresource(self, name: str) -> Subresource | None:
        return next((row for row in self.subresources if row.name == name), None)
