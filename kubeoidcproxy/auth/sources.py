"""Where the keys of one issuer come from: the seam between the authenticator and network or files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from kubeoidcproxy.auth.fetching import https_fetch
from kubeoidcproxy.auth.keys import PublishedKeys
from kubeoidcproxy.auth.keyset import KeySet
from kubeoidcproxy.auth.static_source import StaticKeySource
from kubeoidcproxy.auth.trust import KeyOrigin, PublishedAt


class KeySource(Protocol):
    """The keys of one issuer, now and later."""

    def start(self) -> None:
        """Begin to have keys."""

    def stop(self) -> None:
        """Cease to look for newer ones."""

    def keys(self) -> KeySet | None:
        """The keys to verify with; None where there are none to be trusted."""

    async def renewed(self, kid: str | None) -> None:
        """Wait until newer keys were looked for because of this ``kid``, if that is possible now."""

    @property
    def failing(self) -> bool:
        """Whether the last attempt to get keys failed."""

    def refresh(self) -> None:
        """Look for newer keys now."""

    def state(self) -> tuple[bool, str]:
        """(whether there are keys to verify with, a text for people)."""


# (where the keys are, what to call when they change) -> their source, not started
OpenSource = Callable[[KeyOrigin, Callable[[], None]], KeySource]


def source_opener(reactor: Any, *, min_refresh_interval: float = 30.0, max_stale: float = 86400.0) -> OpenSource:
    """Sources over the real network and disk; times in seconds, ``authentication.keys`` of the configuration."""

    def open_source(origin: KeyOrigin, on_change: Callable[[], None]) -> KeySource:
        if not isinstance(origin, PublishedAt):
            return StaticKeySource(origin, on_change=on_change)
        return PublishedKeys(
            origin,
            https_fetch(reactor, origin.certificate_authority),
            reactor,
            on_change=on_change,
            min_refresh_interval=min_refresh_interval,
            max_stale=max_stale,
        )

    return open_source
