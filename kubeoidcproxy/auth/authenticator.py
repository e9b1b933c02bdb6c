"""The front door: bearer token to caller, with the issuers of the configuration and a memory of callers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from kubeoidcproxy.auth.cache import TokenCache
from kubeoidcproxy.auth.refusals import keys_unavailable, unauthorized
from kubeoidcproxy.auth.sources import KeySource, OpenSource
from kubeoidcproxy.auth.static_source import StaticKeySource
from kubeoidcproxy.auth.trust import AcceptedIssuer, KeyOrigin
from kubeoidcproxy.auth.verification import MAX_TOKEN_SIZE, NeedsKeys, Trust, claimed_issuer, examine, prove
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller

REFUSED = "bearer token refused"


class IssuerState(NamedTuple):
    """For readiness: whether tokens of the issuer can be verified, and a text for people."""

    issuer: str
    ready: bool
    text: str


class OIDCAuthenticator:
    """An :class:`~kubeoidcproxy.interfaces.Authenticator` over many issuers.

    :param open_source: makes the source of an issuer's keys; :func:`~kubeoidcproxy.auth.sources.source_opener`.
    :param token_cache_ttl: seconds; 0: every request is verified.
    :param max_token_size: bytes; 401 above.
    :param wall: seconds since the epoch, for ``exp`` and ``nbf``.
    :param on_verdict: told (issuer, "" or the class of reasons) of every token that is judged; the issuer of a token
        that is refused is the one that it claims.
    """

    _log = Logger()

    def __init__(
        self,
        accepted: Iterable[AcceptedIssuer],
        open_source: OpenSource,
        *,
        token_cache_ttl: float = 10.0,
        max_token_size: int = MAX_TOKEN_SIZE,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_verdict: Callable[[str, str], None] = lambda issuer, reason: None,
    ) -> None:
        self._open_source = open_source
        self._on_verdict = on_verdict
        self._max_token_size = max_token_size
        self._wall = wall
        self._cache = TokenCache(ttl=token_cache_ttl, wall=wall, monotonic=monotonic)
        self._running = False
        self._trusts: dict[str, Trust] = {}
        self._origins: dict[str, KeyOrigin] = {}
        self._sources: dict[KeyOrigin, KeySource] = {}
        self.replace(accepted)

    def start(self) -> None:
        """Begin to fetch keys; does not wait for them."""
        self._running = True
        for source in self._sources.values():
            source.start()

    def stop(self) -> None:
        """Cease to fetch keys."""
        self._running = False
        for source in self._sources.values():
            source.stop()

    def replace(self, accepted: Iterable[AcceptedIssuer], *, token_cache_ttl: float | None = None) -> None:
        """Take over a new configuration. An issuer whose keys are where they were keeps them; everybody is verified
        anew, by the new rules."""
        issuers = tuple(accepted)
        kept, self._sources = self._sources, {}
        for origin in (issuer.origin for issuer in issuers):
            self._sources[origin] = kept.pop(origin) if origin in kept else self._opened(origin)
        self._trusts = {issuer.trust.issuer: issuer.trust for issuer in issuers}
        self._origins = {issuer.trust.issuer: issuer.origin for issuer in issuers}
        for source in kept.values():
            source.stop()
        self._cache.flush()
        if token_cache_ttl is not None:
            self._cache.set_ttl(token_cache_ttl)

    def refresh(self) -> None:
        """Forget all callers and look for newer keys everywhere, because an operator says so."""
        self._cache.flush()
        for source in self._sources.values():
            source.refresh()

    def key_files(self) -> tuple[Path, ...]:
        """The files to watch; :meth:`reload_key_files` when one changes."""
        return tuple(source.origin.path for source in self._static_sources())

    def reload_key_files(self) -> Deferred[Any]:
        """Read the files of static issuers again; callers are forgotten where the keys differ. Fires when all are."""
        return DeferredList([source.reload() for source in self._static_sources()])

    def forget(self) -> None:
        """Verify everybody anew at the next request."""
        self._cache.flush()

    def issuers(self) -> tuple[IssuerState, ...]:
        """The state of every issuer, in the order of the configuration."""
        return tuple(IssuerState(name, *self._sources[origin].state()) for name, origin in self._origins.items())

    def recall(self, token: bytes) -> Caller | None:
        """Implement Authenticator.recall."""
        return self._cache.recall(token)

    def authenticate(self, token: bytes) -> Deferred[Caller]:
        """Implement Authenticator.authenticate. Fired already, unless keys must be waited for (5 s at most)."""
        return Deferred.fromCoroutine(self._authenticate(token))

    async def _authenticate(self, token: bytes) -> Caller:
        try:
            caller = await self._verified(token)
        except Rejection as rejection:
            self._log.info(REFUSED + ": {detail}", detail=rejection.detail, status=rejection.status)
            self._on_verdict(claimed_issuer(token), rejection.message.rpartition(": ")[2])
            raise
        self._on_verdict(caller.issuer, "")
        self._cache.remember(caller)
        return caller

    async def _verified(self, token: bytes) -> Caller:
        outcome = self._judged(token)
        if isinstance(outcome, NeedsKeys):
            await self._source(outcome.issuer).renewed(outcome.kid)
            outcome = self._judged(token)  # from the start: time has passed, and rules may have been replaced
        if isinstance(outcome, NeedsKeys):
            raise self._without_keys(outcome)
        return outcome

    def _judged(self, token: bytes) -> Caller | NeedsKeys:
        claimed = examine(token, self._trusts, self._wall(), self._max_token_size)
        issuer = claimed.trust.issuer
        keys = self._source(issuer).keys()
        if keys is None:
            return NeedsKeys(issuer, claimed.token.kid, f"oidc: authenticator not initialized: {issuer}")
        return prove(claimed, keys, self._cache.fingerprint(token))

    def _without_keys(self, outcome: NeedsKeys) -> Rejection:
        source = self._source(outcome.issuer)
        if source.keys() is None or source.failing:
            return keys_unavailable(outcome.detail)
        return unauthorized("the token's signing key is not known", outcome.detail)

    def _source(self, issuer: str) -> KeySource:
        return self._sources[self._origins[issuer]]

    def _opened(self, origin: KeyOrigin) -> KeySource:
        source = self._open_source(origin, self._cache.flush)
        if self._running:
            source.start()
        return source

    def _static_sources(self) -> tuple[StaticKeySource, ...]:
        return tuple(source for source in self._sources.values() if isinstance(source, StaticKeySource))
