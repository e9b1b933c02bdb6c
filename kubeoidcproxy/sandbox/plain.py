"""HTTP on loopback with nothing but the standard library. It blocks: call it from a thread, or from a program."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 10.0
"""Seconds; everything asked here answers at once or is broken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes


def call(
    method: str,
    url: str,
    *,
    ca_file: Path | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request on a connection of its own. Proxies in the environment are for the world outside, not for this.

    :param ca_file: whom to trust; needed for https.
    :raises OSError: the server was not reached, or went away.
    """
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.netloc, ca_file)
    try:
        connection.request(method, f"{parts.path}?{parts.query}".rstrip("?"), body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()


def _connection(scheme: str, address: str, ca_file: Path | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(address, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=ca_file)
    return http.client.HTTPSConnection(address, context=context, timeout=TIMEOUT)
