"""The keys of an issuer that publishes none, from a file."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
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

InThread = Callable[[Callable[[KeptIn], KeySet | str], KeptIn], "Deferred[KeySet | str]"]

UNREADABLE = "keys of an issuer cannot be read from their file"


class StaticKeySource:
    """A :class:`~kubeoidcproxy.auth.sources.KeySource` over a file.

    :param on_change: called when the set of keys has changed.
    :param in_thread: runs a function where it may block: the disk may be slow (law 7).
    """

    _log = Logger()

    def __init__(self, origin: KeptIn, *, on_change: Callable[[], None], in_thread: InThread = deferToThread) -> None:
        self.origin = origin
        self._on_change = on_change
        self._in_thread = in_thread
        self._keys: KeySet | None = None
        self._error = ""

    def start(self) -> None:
        """Read the file, once and at once; one that cannot be read leaves the issuer without keys until a reload."""
        self._take(_read(self.origin))

    def stop(self) -> None:
        """Nothing is under way."""

    def reload(self) -> Deferred[None]:
        """Read the file again. One that is gone, faulty or half written leaves the keys as they are. Never fails."""
        return self._in_thread(_read, self.origin).addCallback(self._take)

    def refresh(self) -> None:
        """Read the file again, because an operator says so."""
        self.reload()

    def _take(self, read: KeySet | str) -> None:
        """Keys, or why there are none."""
        if isinstance(read, str):
            self._error = read
            self._log.error(UNREADABLE + ": {issuer}: {error}", issuer=self.origin.issuer, error=read)
            return
        self._error = ""
        if read != self._keys:
            self._keys = read
            self._on_change()

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


def _read(origin: KeptIn) -> KeySet | str:
    """The keys in the file, or what is wrong with it. Blocks."""
    try:
        with origin.path.open("rb") as file:
            return _PARSERS[origin.form](file.read(_LARGEST_FILE))
    except (OSError, UnusableKeys) as error:
        return str(error)
