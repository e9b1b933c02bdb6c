"""``limits`` and ``streams``: how much and how long."""

from __future__ import annotations

from pydantic import Field

from kubeoidcproxy.config.quantities import Duration, PositiveDuration, PositiveSize, duration, size
from kubeoidcproxy.config.section import Section
from kubeoidcproxy.config.values import Count, Flag


class Limits(Section):
    """What one client may take. They hold per worker."""

    max_head_size: PositiveSize = size("64KiB")
    """Request line and headers: 431 above."""
    max_token_size: PositiveSize = size("32KiB")
    """401 above."""
    handshake_timeout: PositiveDuration = duration("10s")
    """The TLS handshake, from the first byte on."""
    head_timeout: PositiveDuration = duration("30s")
    """From the first byte of a head to its end."""
    idle_timeout: PositiveDuration = duration("120s")
    """Keep-alive without a request, the first one too."""
    drain_timeout: Duration = duration("60s")
    """On stop: how long requests and streams may finish."""
    max_connections: Count = 0
    """Reached: the new connection is closed at once. 0 = no limit."""
    max_connections_per_address: Count = 0
    """The same for one client address."""
    failed_logins_per_minute: Count = 0
    """Per client address: 429 above; 0 = off."""


class Streams(Section):
    """Watches, logs, exec, port-forwards."""

    max_duration: Duration = duration("0")
    """Streams and tunnels end after this; 0 = no limit."""
    end_at_token_expiry: Flag = False
    """True: watches, logs, exec, port-forwards are closed when the caller's token expires."""
    tcp_keep_alive: Duration = Field(default=30.0, alias="tcpKeepAlive", json_schema_extra={"default": "30s"})
    """A peer that is gone without a word is noticed this way; 0 = off."""
