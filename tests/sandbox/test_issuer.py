"""The sandbox's issuer, asked over TLS as kubectl's plugins, CI jobs and the proxy ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from treq.client import HTTPClient
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort

from kubeoidcproxy.auth.authenticator import OIDCAuthenticator
from kubeoidcproxy.auth.https import https_agent
from kubeoidcproxy.auth.mapping import ClaimMapping, groups_claim, required_claim, username_claim
from kubeoidcproxy.auth.sources import source_opener
from kubeoidcproxy.auth.trust import AcceptedIssuer, PublishedAt
from kubeoidcproxy.auth.verification import Trust
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.sandbox.issuer import Issuer
from kubeoidcproxy.sandbox.people import invent_people
from kubeoidcproxy.sandbox.pki import CertificateAuthority

ALGORITHMS = ("ES256", "PS256", "RS256")


class Running:
    """An issuer on loopback, and a client that trusts its authority."""

    def __init__(self) -> None:
        self.authority = CertificateAuthority()
        self.people = {person.name: person for person in invent_people()}
        self.issuer = Issuer(self.people.values())
        self.http = HTTPClient(https_agent(reactor, self.authority.pem))
        self.port: IListeningPort | None = None

    async def listen(self) -> None:
        pair = self.authority.server("127.0.0.1", "localhost")
        self.port = await self.issuer.listen(reactor, pair.server_options())

    async def get(self, url: str, bearer: str = "", **options: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        response = await self.http.get(url, headers=headers, **options)
        return response.code, await response.json()

    async def post(self, path: str, bearer: str = "", **form: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        response = await self.http.post(self.issuer.url + path, data=form, headers=headers)
        return response.code, await response.json()

    async def login(self, name: str, **form: str) -> tuple[int, Any]:
        form = {"grant_type": "password", "username": name, "password": self.people[name].password, **form}
        return await self.post("/token", **form)

    def authenticator(self) -> OIDCAuthenticator:
        people = ClaimMapping(username_claim("sub", "oidc:"), groups_claim("groups", "oidc:"))
        jobs = ClaimMapping(username_claim("sub", "ci:"), claim_checks=(required_claim("repository_owner_id", "4711"),))
        return OIDCAuthenticator(
            [
                AcceptedIssuer(Trust(url, audiences, mapping, ALGORITHMS), self.origin(url))
                for url, audiences, mapping in (
                    (self.issuer.url, ("kubernetes",), people),
                    (self.issuer.ci.url, ("k8s",), jobs),
                )
            ],
            source_opener(reactor),
        )

    def origin(self, url: str) -> PublishedAt:
        return PublishedAt(url, f"{url}/.well-known/openid-configuration", self.authority.pem)


@pytest.fixture
def running() -> Iterator[Running]:
    sandbox = Running()
    pytest_twisted.blockon(Deferred.fromCoroutine(sandbox.listen()))
    yield sandbox
    assert sandbox.port is not None
    pytest_twisted.blockon(sandbox.port.stopListening())


@pytest_twisted.ensureDeferred
async def test_documents(running: Running) -> None:
    """Both issuers name themselves and publish an RSA and a P-256 key each, of their own."""
    published: list[str] = []
    for url in (running.issuer.url, running.issuer.url + "/ci"):
        status, document = await running.get(url + "/.well-known/openid-configuration")
        assert (status, document["issuer"]) == (200, url)
        _, jwks = await running.get(document["jwks_uri"])
        assert [key["kty"] for key in jwks["keys"]] == ["RSA", "EC"]
        published += [key["kid"] for key in jwks["keys"]]
    assert len(set(published)) == 4
    _, stats = await running.get(running.issuer.url + "/stats", running.issuer.admin_secret)
    assert stats == {"people.discovery": 1, "people.keys": 1, "ci.discovery": 1, "ci.keys": 1}


@pytest.mark.parametrize(("name", "groups"), [("alice", ("oidc:devs",)), ("bob", ()), ("carol", ("oidc:admins",))])
@pytest_twisted.ensureDeferred
async def test_login(running: Running, name: str, groups: tuple[str, ...]) -> None:
    """A person logs in, and the proxy's own verification says who that is, with each algorithm."""
    authenticator = running.authenticator()
    authenticator.start()
    for alg in ALGORITHMS:
        status, answer = await running.login(name, alg=alg)
        assert (status, answer["expires_in"], answer["token_type"]) == (200, 300, "Bearer")
        assert answer["access_token"]
        caller = await authenticator.authenticate(answer["id_token"].encode())
        assert (caller.user.username, caller.user.groups) == (f"oidc:{name}", groups)
    authenticator.stop()


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"password": "wrong"}, 400, "invalid_grant"),
        ({"username": "mallory"}, 400, "invalid_grant"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"alg": "none"}, 400, "invalid_request"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_refused_login(running: Running, form: dict[str, str], status: int, error: str) -> None:
    """RFC 6749 section 5.2: an error code, and no token."""
    got, answer = await running.login("alice", **form)
    assert (got, answer["error"]) == (status, error)
    assert "id_token" not in answer


@pytest_twisted.ensureDeferred
async def test_job_token(running: Running) -> None:
    """A CI job gets a token for the audience it asks for; nobody else does."""
    issuer = running.issuer
    status, answer = await running.get(f"{issuer.request_url}&audience=k8s", issuer.request_token)
    assert status == 200
    authenticator = running.authenticator()
    authenticator.start()
    caller = await authenticator.authenticate(answer["value"].encode())
    assert caller.user.username == "ci:repo:acme/shop:ref:refs/heads/main"
    with pytest.raises(Rejection):
        await authenticator.authenticate(issuer.job_token("elsewhere").encode())
    authenticator.stop()
    assert (await running.get(f"{issuer.request_url}&audience=k8s", "wrong"))[0] == 401


@pytest_twisted.ensureDeferred
async def test_rotation(running: Running) -> None:
    """New keys are fetched when a token names one; the old are gone, unless they overlap."""
    issuer = running.issuer
    authenticator = running.authenticator()
    authenticator.start()
    before = issuer.token_for("alice").encode()
    await authenticator.authenticate(before)
    assert (await running.post("/admin/rotate?issuer=people", issuer.admin_secret))[0] == 200
    await authenticator.authenticate(issuer.token_for("alice").encode())
    assert authenticator.recall(before) is None
    with pytest.raises(Rejection):
        await authenticator.authenticate(before)
    assert issuer.fetches["people.keys"] == 2
    await running.post("/admin/rotate?issuer=people&overlap=true", issuer.admin_secret)
    assert len(issuer.people.jwks()["keys"]) == 4
    authenticator.stop()


@pytest_twisted.ensureDeferred
async def test_the_secret_is_needed(running: Running) -> None:
    """Nobody rotates or counts without it, and there are two issuers to rotate."""
    assert (await running.post("/admin/rotate?issuer=people", "wrong"))[0] == 401
    assert (await running.get(running.issuer.url + "/stats"))[0] == 401
    assert (await running.post("/admin/rotate?issuer=x", running.issuer.admin_secret))[0] == 400
    assert len(running.issuer.people.jwks()["keys"]) == 2


@pytest_twisted.ensureDeferred
async def test_the_authority_is_needed(running: Running) -> None:
    """Without the sandbox's certificate authority its server is a stranger's, and its keys are not fetched."""
    trust = Trust(running.issuer.url, ("kubernetes",), ClaimMapping(username_claim("sub", "")), ALGORITHMS)
    origin = PublishedAt(running.issuer.url, running.origin(running.issuer.url).discovery_url, None)
    authenticator = OIDCAuthenticator([AcceptedIssuer(trust, origin)], source_opener(reactor))
    authenticator.start()
    with pytest.raises(Rejection) as refusal:
        await authenticator.authenticate(running.issuer.token_for("alice").encode())
    assert refusal.value.status == 503
    assert "certificate" in authenticator.issuers()[0].text
    authenticator.stop()
