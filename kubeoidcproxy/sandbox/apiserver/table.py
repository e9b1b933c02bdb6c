"""Server-side printing: lists as ``meta.k8s.io/v1`` Tables, with the columns that kubectl shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.printers import DEFAULT_PRINTER, PRINTERS
from kubeoidcproxy.sandbox.apiserver.store import Object

TABLE = "Table"
PARTIAL = "PartialObjectMetadata"


def wanted_form(accept: str) -> str:
    """``Table``, ``PartialObjectMetadata`` or empty: what the first JSON media type of an Accept header asks for."""
    for media_type in accept.split(","):
        name, *parameters = (part.strip() for part in media_type.split(";"))
        if name not in ("application/json", "*/*", "application/*", ""):
            continue
        asked = next((part.removeprefix("as=") for part in parameters if part.startswith("as=")), "")
        return asked.removesuffix("List") if asked.removesuffix("List") in (TABLE, PARTIAL) else ""
    return ""


def as_table(
    resource: Resource, items: list[Object], revision: str, now: datetime, *, with_columns: bool = True
) -> Object:
    """One row an object. In a watch only the first Table has columns, as kube sends it."""
    columns, cells = PRINTERS.get(resource.kind, DEFAULT_PRINTER)
    rows = [{"cells": cells(item, age(item, now)), "object": partial(item)} for item in items]
    table: Object = {"kind": TABLE, "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision}}
    table["columnDefinitions"] = [_definition(column) for column in columns] if with_columns else None
    return table | {"rows": rows or None}


def partial(item: Object) -> Object:
    """The metadata alone."""
    return {"kind": PARTIAL, "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def partial_list(listed: Object) -> Object:
    items = [partial(item) for item in listed["items"]]
    return {"kind": f"{PARTIAL}List", "apiVersion": "meta.k8s.io/v1", "metadata": listed["metadata"], "items": items}


def age(item: Object, now: datetime) -> str:
    """``translateTimestampSince``."""
    created = item["metadata"].get("creationTimestamp")
    if not created:
        return "<unknown>"
    since = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return human_duration(int((now - since).total_seconds()))


def human_duration(seconds: int) -> str:
    """``duration.HumanDuration``: two units while the first is small."""
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 2:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def _definition(column: str) -> dict[str, Any]:
    name = column.removeprefix("+")
    kind = "date" if name == "Created At" else "string"
    form = "name" if name == "Name" else ""
    return {"name": name, "type": kind, "format": form, "description": name, "priority": int(column.startswith("+"))}
