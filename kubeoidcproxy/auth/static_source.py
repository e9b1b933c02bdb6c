"""The keys of an issuer that publishes none, from a file."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.keyset import KeySet, UnusableKeys
from kubeoidcproxy.auth.static_keys import parse_certificates, parse_public_keys
from kubeoidcproxy.auth.trust import KeptIn

_PARSERS: dict[str, Callable[[bytes], KeySet]] = {
    "certificates": parse_certificates,
    "public keys": parse_public_keys,
    "JWKS": parse_jwks,
}
_LARGEST_FILE = 1024 * 1024  # bytes; a hundred certificates

UNREADABLE = "keys of an issuer cannot be read from their file"


class StaticKeySource:
    """A :class:`~kubeoidcproxy.auth.sources.KeySource` over a file.

    :param on_change: called when the set of keys has changed.
    """

    _log = Logger()

    def __init__(self, origin: KeptIn, *, on_change: Callable[[], None]) -> None:
        self.origin = origin
        self._on_change = on_change
        self._keys: KeySet | None = None
        self._error = ""

    def start(self) -> None:
        """Read the file; one that cannot be read leaves the issuer without keys until a later reload."""
        self.reload()

    def stop(self) -> None:
        """Nothing is under way."""

    def reload(self) -> bool:
        """Read the file again. One that is gone, faulty or half written leaves the keys as they are.

        :returns: whether the keys have changed.
        """
        try:
            with self.origin.path.open("rb") as file:
                keys = _PARSERS[self.origin.form](file.read(_LARGEST_FILE))
        except (OSError, UnusableKeys) as error:
            self._error = str(error)
            self._log.error(UNREADABLE + ": {issuer}: {error}", issuer=self.origin.issuer, error=self._error)
            return False
        self._error = ""
        if keys == self._keys:
            return False
        self._keys = keys
        self._on_change()
        return True

    def refresh(self) -> None:
        """Read the file now."""
        self.reload()

    def keys(self) -> KeySet | None:
        """The keys of the last good reading."""
        return self._keys

    async def renewed(self, kid: str | None) -> None:
        """Return at once: a stranger's token does not make us read files."""

    @property
    def failing(self) -> bool:
        """Whether there are no keys for want of a good file."""
        return self._keys is None

    def state(self) -> tuple[bool, str]:
        """(ready, text for people)."""
        trouble = f"; the file is faulty: {self._error}" if self._error else ""
        if self._keys is None:
            return False, "no keys" + trouble
        return True, f"{len(self._keys.keys)} keys from a file" + trouble
