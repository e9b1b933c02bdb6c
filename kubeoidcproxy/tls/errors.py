"""Why an upstream connection was not made.

``str()`` is fit for a client: it names no address (law 12). ``detail`` is for our log.
"""

from __future__ import annotations

from typing import ClassVar


class UpstreamConnectError(Exception):
    """No usable connection to the API server."""

    text: ClassVar[str] = "the API server cannot be reached"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.text


class ConnectTimeout(UpstreamConnectError):
    """Connecting and the handshake together took too long (policy: 504)."""

    text = "the API server did not accept a connection in time"


class ConnectFailed(UpstreamConnectError):
    """No address for the name, no way to it, or the connection broke before the handshake was over (policy: 502)."""


class ConnectRefused(ConnectFailed):
    """Nobody listens there (policy: 502)."""

    text = "the API server refused the connection"


class VerificationFailed(UpstreamConnectError):
    """It speaks, but it did not prove to be the API server, or TLS failed some other way (policy: 502)."""

    text = "the API server's certificate or TLS was not acceptable"
