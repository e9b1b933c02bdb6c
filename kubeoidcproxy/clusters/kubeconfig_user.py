"""The user of a kubeconfig's context: exactly one credential, of a kind that we can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kubeoidcproxy.clusters.kubeconfig_file import KubeconfigError, Section
from kubeoidcproxy.clusters.tokens import TokenError, checked, read_token


@dataclass(frozen=True, slots=True)
class TokenCredentialSpec:
    """A bearer token that stays."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenFileSpec:
    """A bearer token in a file that somebody renews. ``token`` is what it held when the kubeconfig was read."""

    path: Path
    token: str = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ClientCertificateSpec:
    """A certificate (with its chain) and its key, as PEM."""

    cert_pem: str
    key_pem: str = field(repr=False)


CredentialSpec = TokenCredentialSpec | TokenFileSpec | ClientCertificateSpec

# (Section, key) → the text of `KEY-data`, else of the file that KEY names, else "".
PemSource = Callable[[Section, str], str]

_IMPERSONATION = "the proxy says itself for whom it acts; a user of the kubeconfig may not"
_REFUSED = {
    "auth-provider": "auth-provider plugins are not supported",
    "username": "basic auth is not supported",
    "password": "basic auth is not supported",
    "as": _IMPERSONATION,
    "as-uid": _IMPERSONATION,
    "as-groups": _IMPERSONATION,
    "as-user-extra": _IMPERSONATION,
}


def credential_of(user: Section, pem: PemSource, resolve: Callable[[str], Path]) -> CredentialSpec:
    """The one credential of a user.

    :param resolve: makes a path of the file absolute, and notes that it was read.
    """
    _refuse_unsupported(user)
    certificate = _client_certificate(user, pem)
    token = _token(user, resolve)
    if certificate and token:
        # The API server asks for a certificate first and does not look at the token then (kubernetes
        # pkg/kubeapiserver/authenticator/config.go): the one meant may not be the one that counts.
        raise user.refusal("has both a client certificate and a token; keep one")
    credential = certificate or token
    if credential is None:
        raise user.refusal("has no credential: token, tokenFile or client-certificate and client-key")
    return credential


def _refuse_unsupported(user: Section) -> None:
    if user.has("exec"):
        raise user.refusal("not supported yet: exec")
    for key, problem in _REFUSED.items():
        if user.has(key):
            raise user.refusal(f"{key}: {problem}")


def _token(user: Section, resolve: Callable[[str], Path]) -> TokenCredentialSpec | TokenFileSpec | None:
    """client-go prefers what it reads from the file to the token beside it (clientcmd/api/types.go, AuthInfo)."""
    key = "tokenFile" if user.has("tokenFile") else "token"
    if not user.has(key):
        return None
    try:
        if key == "token":
            return TokenCredentialSpec(checked(user.text(key)))
        path = resolve(user.text(key))
        return TokenFileSpec(path, read_token(path))
    except TokenError as error:
        raise user.refusal(f"{key}: {error}") from None


def _client_certificate(user: Section, pem: PemSource) -> ClientCertificateSpec | None:
    cert_pem, key_pem = pem(user, "client-certificate"), pem(user, "client-key")
    if not cert_pem and not key_pem:
        return None
    if not cert_pem or not key_pem:
        raise user.refusal("client-certificate and client-key must come together")
    _refuse_mismatch(user, cert_pem, key_pem)
    return ClientCertificateSpec(cert_pem, key_pem)


def _refuse_mismatch(user: Section, cert_pem: str, key_pem: str) -> None:
    certificate = parsed_certificates(user, "client-certificate", cert_pem)[0]
    try:
        key = load_pem_private_key(key_pem.encode(), password=None)
    except TypeError:
        raise user.refusal("client-key: is encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise user.refusal("client-key: holds no readable PEM private key") from None
    if key.public_key() != certificate.public_key():
        raise user.refusal("client-key: is not the key of client-certificate")


def parsed_certificates(section: Section, key: str, pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, at least one."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        problem: KubeconfigError = section.refusal(f"{key}: holds no readable PEM certificate")
        raise problem from None
