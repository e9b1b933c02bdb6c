"""``audit``: who did what, as an access log, as audit.k8s.io events, and to a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from kubeoidcproxy.config.quantities import PositiveSize, Size, size
from kubeoidcproxy.config.section import Breach, Section
from kubeoidcproxy.config.values import Count, FilePath, Flag, HttpUrl, resolve_path

STDOUT: Final = Path("-")


def _path_or_stdout(value: object, info: ValidationInfo) -> Any:
    return STDOUT if value == "-" else resolve_path(value, info)


PathOrStdout = Annotated[Path, BeforeValidator(_path_or_stdout), WithJsonSchema({"type": "string", "minLength": 1})]


class AccessLog(Section):
    """One line a request."""

    path: PathOrStdout | None = STDOUT
    """"-" = file descriptor 1 itself, an error when daemonised (without -n); null = off."""
    format: Literal["text", "json"] = "text"
    """text = AuSuccess/AuFail lines, json = one object a line."""


class AuditLog(Section):
    """audit.k8s.io/v1 events, JSON lines."""

    path: FilePath | None = None
    """null = off."""
    policy_file: FilePath | None = None
    """An audit.k8s.io/v1 Policy: what is written of which request."""
    max_size: PositiveSize = size("100MiB")
    """The file is rotated at this size."""
    max_backups: Count = 10
    """How many rotated files are kept."""
    compress: Flag = False
    """Rotated files are compressed with gzip."""


def spooling_modes_have_a_spool(webhook: Webhook) -> Iterator[Breach]:
    if webhook.mode == "batch":
        return
    if webhook.url is None:
        yield ("url",), f"required with mode: {webhook.mode}"
    if webhook.spool_directory is None:
        yield ("spoolDirectory",), f"required with mode: {webhook.mode}"


class Webhook(Section):
    """Events sent to a collector."""

    url: HttpUrl | None = None
    """With format: legacy, events go to <url>/api/v1/k8s-audit-log/webhook. null = off."""
    format: Literal["legacy", "k8s"] = "legacy"
    """legacy: one JSON object a request, 401 and 403 too. k8s: audit.k8s.io/v1 EventList batches, to the url itself."""
    ca_file: FilePath | None = None
    """PEM certificates that the collector's is checked against, instead of the system's."""
    token_file: FilePath | None = None
    """Its content is sent as bearer token."""
    mode: Literal["batch", "blocking", "blocking-strict"] = "batch"
    """batch: never delays a request. blocking: forwarded after a record of the request is on disk. blocking-strict:
    refused (503) if it cannot be. Both need spoolDirectory."""
    spool_directory: FilePath | None = None
    """Events wait here until acknowledged; survive restart and kill."""
    max_spool_size: PositiveSize = size("1GiB")
    """When it is full, `batch` drops the newest and counts what it dropped."""
    include_request_body: Flag = False
    """JSON bodies only; never of secrets or serviceaccounts/token."""
    max_request_body: Size = size("64KiB")
    """Longer bodies are left out."""

    rules = (spooling_modes_have_a_spool,)


class Audit(Section):
    """Who did what."""

    access_log: AccessLog | None = AccessLog()
    """One line a request; null = off."""
    log: AuditLog = AuditLog()
    """audit.k8s.io/v1 events, JSON lines."""
    webhook: Webhook = Webhook()
    """Events sent to a collector."""
