"""Who a caller is: a client certificate first, then a bearer token, static or minted for a ServiceAccount."""

from __future__ import annotations

import binascii
import hmac
import secrets
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from kubeoidcproxy.sandbox.apiserver.request import Request
from kubeoidcproxy.sandbox.apiserver.users import (
    AUTHENTICATED,
    User,
    service_account_groups,
    service_account_name,
)

AUDIENCE = "https://kubernetes.default.svc"
WEBSOCKET_BEARER = "base64url.bearer.authorization.k8s.io."
_CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class _MintedToken:
    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]
    expires: float
    token_id: str


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A token's user and the audiences that the token is good for."""

    user: User
    audiences: tuple[str, ...]


class Tokens:
    """The tokens this server takes. ``account_uid`` tells whether a ServiceAccount still is the one minted for."""

    def __init__(
        self,
        users: Mapping[str, User],
        now: Callable[[], float],
        account_uid: Callable[[str, str], str | None],
    ) -> None:
        self._users = {token.encode(): user.authenticated() for token, user in users.items()}
        self._now = now
        self._account_uid = account_uid
        self._minted: dict[str, _MintedToken] = {}

    def mint(self, namespace: str, name: str, audiences: Iterable[str], expires: float) -> str:
        """An opaque token for a ServiceAccount; the real ones are JWTs, which clients must not look into either."""
        token = secrets.token_urlsafe(48)
        uid = self._account_uid(namespace, name) or ""
        bound = tuple(audiences) or (AUDIENCE,)
        self._minted = {key: old for key, old in self._minted.items() if old.expires > self._now()}
        self._minted[token] = _MintedToken(namespace, name, uid, bound, expires, str(uuid.uuid4()))
        return token

    def authenticate(self, token: str, audiences: Iterable[str] = (AUDIENCE,)) -> Authenticated | None:
        """The user of a token that is known, alive and meant for one of the audiences."""
        wanted = tuple(audiences)
        user = self._static_user(token)
        if user is not None:
            return Authenticated(user, (AUDIENCE,)) if AUDIENCE in wanted else None
        minted = self._minted.get(token)
        if minted is None or minted.expires <= self._now():
            return None
        if self._account_uid(minted.namespace, minted.name) != minted.uid:
            return None
        common = tuple(audience for audience in wanted if audience in minted.audiences)
        return Authenticated(_account_user(minted), common) if common else None

    def _static_user(self, token: str) -> User | None:
        sent = token.encode("utf-8", "surrogateescape")
        return next((user for known, user in self._users.items() if hmac.compare_digest(known, sent)), None)


def _account_user(minted: _MintedToken) -> User:
    groups = (*service_account_groups(minted.namespace), AUTHENTICATED)
    extra = {_CREDENTIAL_ID: (f"JTI={minted.token_id}",)}
    return User(service_account_name(minted.namespace, minted.name), minted.uid, groups, extra)


def authenticate(request: Request, tokens: Tokens) -> User | None:
    """The order of kube's authenticator union: x509, bearer token, WebSocket bearer protocol."""
    if request.certificate_user is not None:
        return request.certificate_user.authenticated()
    token = bearer_token(request.header("authorization")) or websocket_token(request)
    found = tokens.authenticate(token) if token else None
    return found.user if found else None


def bearer_token(authorization: str) -> str:
    """``bearertoken.AuthenticateRequest``: the second word, whatever follows it."""
    parts = authorization.strip().split(" ", 2)
    return parts[1] if len(parts) > 1 and parts[0].lower() == "bearer" else ""


def websocket_token(request: Request) -> str:
    """``websocket.ProtocolAuthenticator``: browsers cannot set headers, so the token is a sub-protocol."""
    if request.header("upgrade").lower() != "websocket":
        return ""
    for protocol in websocket_protocols(request):
        if protocol.startswith(WEBSOCKET_BEARER):
            encoded = protocol.removeprefix(WEBSOCKET_BEARER)
            try:
                return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, ValueError):
                return ""
    return ""


def websocket_protocols(request: Request) -> list[str]:
    """The sub-protocols offered, over all header lines."""
    lines = request.header_values("sec-websocket-protocol")
    return [protocol.strip() for line in lines for protocol in line.split(",")]


def certificate_user(certificate: x509.Certificate) -> User | None:
    """``CommonNameUserConversion``: the common name is the user, each organisation a group."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not names:
        return None
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    extra = {_CREDENTIAL_ID: (f"X509SHA256={fingerprint}",)}
    return User(str(names[0].value), groups=tuple(str(group.value) for group in groups), extra=extra)
