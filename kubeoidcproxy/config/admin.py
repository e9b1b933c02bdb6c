"""``admin``, ``egress`` and ``log``: how the daemon is watched, how it gets out, and what it says of itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kubeoidcproxy.config.listen import AddressOfTCP, TCPAddress, parse_address
from kubeoidcproxy.config.section import Section
from kubeoidcproxy.config.values import FilePath, HttpUrl


def _without_path(url: str) -> str:
    if url.rstrip("/").count("/") != 2:
        raise ValueError("must be http://HOST:PORT")
    return url


class Admin(Section):
    """Plain HTTP, read-only; keep it on loopback. Omit the section for none."""

    address: AddressOfTCP = "127.0.0.1:9090"
    """/livez, /readyz (?verbose: a line for each issuer and cluster) and /metrics; port 0 allowed (the bound port is
    logged)."""
    control_socket: FilePath | None = None
    """A unix socket, mode 0600, for `kubeoidcproxy status` (live sessions, and cutting one)."""

    @property
    def endpoint(self) -> TCPAddress:
        parsed = parse_address(self.address)
        assert isinstance(parsed, TCPAddress)
        return parsed


class Egress(Section):
    """How the daemon reaches the world."""

    proxy_url: Annotated[HttpUrl, AfterValidator(_without_path)] | None = Field(default=None, alias="proxyURL")
    """An HTTP CONNECT proxy for discovery, keys, webhook, and API servers without a proxy-url of their own; default:
    HTTPS_PROXY and NO_PROXY."""


class Log(Section):
    """The daemon's own messages, to twistd's log."""

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    """The least that is written."""
    format: Literal["text", "json"] = "text"
    """One line a message, or one JSON object a line."""
