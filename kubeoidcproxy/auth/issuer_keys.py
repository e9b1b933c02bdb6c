"""The two documents of one issuer, read one after the other: discovery, then keys."""

from __future__ import annotations

from kubeoidcproxy.auth import freshness
from kubeoidcproxy.auth.discovery import read_jwks_uri
from kubeoidcproxy.auth.fetching import Answer, Fetch, FetchFailed
from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.keyset import KeySet


class IssuerKeys:
    """One fetch of an issuer's keys, and what the last one said of the next.

    :ivar lifetime: seconds that the last good answer is good for.
    :ivar retry_after: seconds that the issuer asked us to stay away with its last answer; 0: it did not.
    """

    def __init__(self, issuer: str, discovery_url: str, fetch: Fetch) -> None:
        self.lifetime = freshness.LONGEST
        self.retry_after = 0.0
        self._issuer = issuer
        self._discovery_url = discovery_url
        self._fetch = fetch
        self._jwks_uri: str | None = None
        self._tagged = ("", "")  # where the last good keys were, and their entity tag

    async def fetch(self, known: KeySet | None) -> KeySet:
        """The issuer's keys now; ``known`` itself where they have not changed.

        Where they have, discovery is read again before they are believed: a host that serves another realm's keys by
        mistake serves its discovery document, too, and that names another issuer.

        :raises Exception: FetchFailed, UnusableKeys, or whatever the network says.
        """
        uri, self._jwks_uri = self._jwks_uri, None  # a failure on the way starts anew at discovery
        self.retry_after = 0.0
        confirmed = uri is None
        uri = uri or await self._discover()
        keys, etag = await self._load(uri, known)
        if keys != known and not confirmed:
            read, uri = uri, await self._discover()
            if read != uri:
                keys, etag = await self._load(uri, None)
        # Only now: the tag of keys that were not believed would make the next answer "not modified".
        self._jwks_uri, self._tagged = uri, (uri, etag)
        return keys

    async def _discover(self) -> str:
        answer = await self._get(self._discovery_url, {})
        return read_jwks_uri(answer.body, self._issuer)

    async def _load(self, uri: str, known: KeySet | None) -> tuple[KeySet, str]:
        tagged_uri, etag = self._tagged
        conditional = {"If-None-Match": etag} if etag and tagged_uri == uri and known is not None else {}
        answer = await self._get(uri, conditional)
        self.lifetime = freshness.lifetime(answer.headers)
        if answer.status == 304 and known is not None:
            return known, etag
        return parse_jwks(answer.body), answer.headers.get("etag", "")

    async def _get(self, url: str, conditional: dict[str, str]) -> Answer:
        answer = await self._fetch(url, {"Accept": "application/json", **conditional})
        if answer.status == 200 or (answer.status == 304 and conditional):
            return answer
        self.retry_after = freshness.retry_after(answer.headers)
        redirect = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
        raise FetchFailed(f"{url} answers {answer.status}{redirect}")
