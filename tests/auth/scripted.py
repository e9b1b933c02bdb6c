"""A scripted issuer for tests with a Clock: its two documents, what goes wrong, and how often it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from auth.jwt_gen import build, jwk, load
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from kubeoidcproxy.auth.fetching import Answer, FetchFailed
from kubeoidcproxy.auth.keys import PublishedKeys
from kubeoidcproxy.auth.mapping import ClaimMapping, groups_claim, username_claim
from kubeoidcproxy.auth.trust import AcceptedIssuer, KeyOrigin, PublishedAt
from kubeoidcproxy.auth.verification import Trust

ISSUER = "https://idp.example.test/realms/k8s"
DISCOVERY = ISSUER + "/.well-known/openid-configuration"
JWKS = "https://keys.example.test/jwks"  # another host, as Google's
BASELINE = next(load())
NOW = 1_767_225_600.0

ORIGIN = PublishedAt(ISSUER, DISCOVERY, None)
TRUST = Trust(
    ISSUER,
    ("kube",),
    ClaimMapping(username_claim("preferred_username", "oidc:"), groups_claim("groups", "oidc:")),
    ("ES256", "RS256"),
)
ACCEPTED = AcceptedIssuer(TRUST, ORIGIN)


def token(now: float = NOW, key: str = "rsa1", alg: str = "RS256", **parts: Any) -> bytes:
    """A good token, but for what is said; ``claims`` and ``header`` as in jwt_cases.json."""
    header = {"kid": key, "alg": alg, **parts.pop("header", {})}
    case = {**BASELINE, "header": header, "sign": {"key": key, "alg": alg}, **parts}
    text, _ = build(case, now)
    return text.encode()


class ScriptedIssuer:
    """Its ``fetch`` answers at once, unless it is silent (never answers) or failing."""

    def __init__(self, *keys: str) -> None:
        self.issuer = ISSUER
        self.jwks_uri = JWKS
        self.headers: dict[str, str] = {}
        self.failure: Answer | str | None = None
        self.silent = False
        self.body: bytes | None = None
        self.asked: list[str] = []
        self.conditions: list[Mapping[str, str]] = []
        self.unanswered: list[Deferred[Answer]] = []
        self.publish(*(keys or ("rsa1", "ec256")))

    def publish(self, *keys: str | dict[str, Any]) -> None:
        self.keys = [jwk(key) if isinstance(key, str) else key for key in keys]

    def fetch(self, url: str, headers: Mapping[str, str]) -> Deferred[Answer]:
        self.asked.append(url)
        self.conditions.append(headers)
        if self.silent:
            self.unanswered.append(Deferred())
            return self.unanswered[-1]
        if isinstance(self.failure, str):
            return fail(FetchFailed(self.failure))
        return succeed(self.failure or self.answer(url, headers))

    def answer(self, url: str, headers: Mapping[str, str]) -> Answer:
        if url == DISCOVERY:
            return Answer(200, {}, json.dumps({"issuer": self.issuer, "jwks_uri": self.jwks_uri}).encode())
        if url != self.jwks_uri:
            return Answer(404)
        etag = self.headers.get("etag")
        if etag and headers.get("If-None-Match") == etag:
            return Answer(304, self.headers)
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        return Answer(200, self.headers, body)

    def speak(self) -> None:
        """Answer what was asked in silence, and be silent no more."""
        self.silent = False
        waiting, self.unanswered = self.unanswered, []
        for url, deferred in zip(self.asked[-len(waiting) :], waiting, strict=True):
            if not deferred.called:
                deferred.callback(self.answer(url, {}))

    @property
    def key_fetches(self) -> int:
        return sum(url != DISCOVERY for url in self.asked)

    def source(self, clock: Clock, on_change: Callable[[], None] = lambda: None, **options: Any) -> PublishedKeys:
        options = {"monotonic": clock.seconds, "jitter": lambda: 0.0, **options}
        return PublishedKeys(ORIGIN, self.fetch, clock, on_change=on_change, **options)

    def opener(self, clock: Clock, **options: Any) -> Callable[[KeyOrigin, Callable[[], None]], PublishedKeys]:
        return lambda origin, on_change: self.source(clock, on_change, **options)
