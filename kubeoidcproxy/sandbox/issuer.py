"""An OpenID Connect issuer on loopback: real documents, real keys, real TLS, and two kinds of tokens.

======================================================== =============================================================
``/.well-known/openid-configuration`` ``/keys``           the issuer for people
``POST /token``                                           the password grant (RFC 6749 section 4.3) of its people
``/ci/.well-known/openid-configuration`` ``/ci/keys``     the issuer for jobs of a CI system
``GET /ci/job-token?...&audience=X``                      a job's token, as GitHub Actions and Forgejo hand it out
``POST /admin/rotate?issuer=people|ci[&overlap=true]``    new keys (with the admin secret as bearer token)
``GET /stats``                                            how often each document was asked for (likewise)
======================================================== =============================================================
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from kubeoidcproxy.sandbox.json_resource import JSONAnswer, JSONResource
from kubeoidcproxy.sandbox.people import Person
from kubeoidcproxy.sandbox.realm import Realm, job_claims, person_claims
from kubeoidcproxy.sandbox.world import AUDIENCE

HOST = "127.0.0.1"


class Issuer:
    """The issuer for people and, below ``/ci``, the issuer for jobs, on one port.

    :param people: who can log in.
    :param audience: the client id, and the ``aud`` of people's tokens.
    :param lifetime: seconds that tokens live.
    :param request_token: what a job must show to get its token.
    :param admin_secret: what a test must show to rotate keys and to read the counters.
    :ivar fetches: how often each document was asked for, as ``people.keys`` and the like.
    """

    def __init__(
        self,
        people: Iterable[Person],
        *,
        audience: str = AUDIENCE,
        lifetime: float = 300.0,
        request_token: str | None = None,
        admin_secret: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.audience = audience
        self.request_token = request_token or secrets.token_urlsafe(24)
        self.admin_secret = admin_secret or secrets.token_urlsafe(24)
        self.fetches: Counter[str] = Counter()
        self.people = Realm("people", lifetime=lifetime, wall=wall)
        self.ci = Realm("ci", lifetime=lifetime, wall=wall)
        self._persons = {person.name: person for person in people}

    @property
    def url(self) -> str:
        """The ``iss`` of people's tokens; "" before :meth:`listen` is done."""
        return self.people.url

    @property
    def request_url(self) -> str:
        """``ACTIONS_ID_TOKEN_REQUEST_URL`` of a job: ``&audience=...`` is appended to it."""
        return f"{self.ci.url}/job-token?api-version=2.0"

    def listen(self, reactor: Any, context_factory: Any, port: int = 0) -> Deferred[IListeningPort]:
        """Serve on loopback; fires with the port, when :attr:`url` is known."""
        endpoint = SSL4ServerEndpoint(reactor, port, context_factory, interface=HOST)
        listening: Deferred[IListeningPort] = endpoint.listen(Site(self._root()))
        return listening.addCallback(self._listening)

    def rotate(self, issuer: str, *, overlap: bool = False) -> None:
        """New keys for ``people`` or ``ci``; KeyError for another."""
        {"people": self.people, "ci": self.ci}[issuer].rotate(overlap=overlap)

    def token_for(self, name: str, alg: str = "RS256") -> str:
        """The id_token that a person gets at login, without the password."""
        return self.people.sign(self.audience, person_claims(self._persons[name]), alg)

    def job_token(self, audience: str) -> str:
        """The token that a job gets."""
        return self.ci.sign(audience, job_claims())

    def _listening(self, port: IListeningPort) -> IListeningPort:
        self.people.url = f"https://{HOST}:{port.getHost().port}"  # type: ignore[attr-defined]
        self.ci.url = f"{self.people.url}/ci"
        return port

    def _root(self) -> Resource:
        root, ci, admin = _documents(self.people, self.fetches), _documents(self.ci, self.fetches), Resource()
        root.putChild(b"token", JSONResource(POST=self._login))
        root.putChild(b"ci", ci)
        root.putChild(b"stats", JSONResource(GET=self._stats))
        root.putChild(b"admin", admin)
        ci.putChild(b"job-token", JSONResource(GET=self._hand_out))
        admin.putChild(b"rotate", JSONResource(POST=self._rotate))
        return root

    def _login(self, request: Request) -> JSONAnswer:
        self.fetches["people.token"] += 1
        if _argument(request, "grant_type") != "password":
            return 400, {"error": "unsupported_grant_type"}
        if _argument(request, "client_id") not in ("", self.audience):
            return 401, {"error": "invalid_client"}
        person = self._persons.get(_argument(request, "username"))
        if person is None or not _same(_argument(request, "password"), person.password):
            return 400, {"error": "invalid_grant", "error_description": "wrong user name or password"}
        try:
            id_token = self.token_for(person.name, _argument(request, "alg") or "RS256")
        except ValueError as error:
            return 400, {"error": "invalid_request", "error_description": str(error)}
        times = {"token_type": "Bearer", "expires_in": int(self.people.lifetime)}
        return 200, {"id_token": id_token, "access_token": secrets.token_urlsafe(24), **times}

    def _hand_out(self, request: Request) -> JSONAnswer:
        self.fetches["ci.token"] += 1
        if not _bears(request, self.request_token):
            return 401, {"message": "the request token is not right"}
        return 200, {"value": self.job_token(_argument(request, "audience") or "https://ci.sandbox.test/acme")}

    def _rotate(self, request: Request) -> JSONAnswer:
        if not _bears(request, self.admin_secret):
            return 401, {"message": "the admin secret is not right"}
        try:
            self.rotate(_argument(request, "issuer"), overlap=_argument(request, "overlap") == "true")
        except KeyError:
            return 400, {"message": "issuer is people or ci"}
        return 200, {}

    def _stats(self, request: Request) -> JSONAnswer:
        if not _bears(request, self.admin_secret):
            return 401, {"message": "the admin secret is not right"}
        return 200, dict(self.fetches)


def _documents(realm: Realm, fetches: Counter[str]) -> Resource:
    root, well_known = Resource(), Resource()

    def counted(name: str, document: Callable[[], dict[str, Any]]) -> JSONResource:
        def answer(request: Request) -> JSONAnswer:
            fetches[f"{realm.name}.{name}"] += 1
            return 200, document()

        return JSONResource(GET=answer)

    root.putChild(b".well-known", well_known)
    well_known.putChild(b"openid-configuration", counted("discovery", realm.discovery))
    root.putChild(b"keys", counted("keys", realm.jwks))
    return root


def _argument(request: Request, name: str) -> str:
    values: list[bytes] = (request.args or {}).get(name.encode("ascii"), [b""])
    return values[-1].decode("utf-8", "replace")


def _bears(request: Request, secret: str) -> bool:
    return _same(request.getHeader("authorization") or "", f"Bearer {secret}")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8"), wanted.encode("utf-8"))
