"""One issuer of the sandbox: a name, its keys, and the tokens it signs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from kubeoidcproxy.sandbox.people import Person
from kubeoidcproxy.sandbox.tokens import SigningKey, new_ec_key, new_rsa_key
from kubeoidcproxy.sandbox.world import CI_OWNER, CI_SUBJECT


class Realm:
    """Two keys at a time, RSA and P-256, each under a name of its own.

    :ivar url: the issuer's ``iss``; known once the server listens.
    :param lifetime: seconds that its tokens live.
    """

    def __init__(self, name: str, *, lifetime: float = 300.0, wall: Callable[[], float] = time.time) -> None:
        self.name = name
        self.url = ""
        self.lifetime = lifetime
        self._wall = wall
        self._generation = 0
        self._published: list[SigningKey] = []
        self.rotate(overlap=False)

    def rotate(self, *, overlap: bool) -> None:
        """Sign with new keys from now on. With overlap the old ones stay published, else they are gone."""
        self._generation += 1
        fresh = [new_rsa_key(f"{self.name}-rsa-{self._generation}"), new_ec_key(f"{self.name}-ec-{self._generation}")]
        self._published = fresh + (self._published if overlap else [])

    def jwks(self) -> dict[str, Any]:
        """What it publishes."""
        return {"keys": [key.jwk() for key in self._published]}

    def discovery(self) -> dict[str, Any]:
        """Its OpenID Connect Discovery document."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/authorize",
            "response_types_supported": ["id_token"],
            "grant_types_supported": ["password"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "PS256"],
        }

    def sign(self, audience: str, claims: dict[str, Any], alg: str = "RS256") -> str:
        """A token of this issuer, valid now; ValueError for an algorithm it does not sign with."""
        now = int(self._wall())
        times = {"iat": now, "nbf": now, "exp": now + int(self.lifetime)}
        standard = {"iss": self.url, "aud": audience, "jti": secrets.token_hex(16), **times}
        key = self._published[1] if alg == "ES256" else self._published[0]
        return key.sign({**standard, **claims}, alg)


def person_claims(person: Person) -> dict[str, Any]:
    """What an issuer for people says of one; like Dex it leaves ``groups`` out where there are none."""
    groups = {"groups": list(person.groups)} if person.groups else {}
    names = {"sub": person.name, "uid": person.uid, "preferred_username": person.name, "name": person.name.title()}
    return {**names, "email": person.email, "email_verified": True, **groups}


def job_claims() -> dict[str, Any]:
    """What GitHub Actions says of a job: ids and numbers are strings there."""
    return {
        "sub": CI_SUBJECT,
        "repository": "acme/shop",
        "repository_id": "815",
        "repository_owner": "acme",
        "repository_owner_id": CI_OWNER,
        "repository_visibility": "private",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "workflow": "deploy",
        "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "event_name": "push",
        "actor": "alice",
        "run_id": "9",
        "run_number": "10",
        "run_attempt": "1",
        "runner_environment": "github-hosted",
    }
