"""kube-apiserver's ``AuthenticationConfiguration`` as frozen values (apiserver.config.k8s.io v1alpha1, v1beta1, v1).

The three versions have one schema, see k8s.io/apiserver ``pkg/apis/apiserver/v1/types.go``.  "" stands for a text that
is not given, as in Go; where Kubernetes tells an empty text from none (``prefix``) it is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Issuer:
    url: str
    discovery_url: str = ""
    certificate_authority: str | None = None
    """PEM that replaces the system's roots."""
    audiences: tuple[str, ...] = ()
    audience_match_policy: str = ""
    egress_selector_type: str = ""


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """Either ``claim`` has ``required_value``, or ``expression`` is true."""

    claim: str = ""
    required_value: str = ""
    expression: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class UserRule:
    expression: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class PrefixedMapping:
    """:param prefix: never None where ``claim`` is set and the configuration is valid."""

    claim: str = ""
    prefix: str | None = None
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Mapping:
    claim: str = ""
    expression: str = ""


@dataclass(frozen=True, slots=True)
class ExtraMapping:
    key: str
    value_expression: str


@dataclass(frozen=True, slots=True)
class ClaimMappings:
    """:param groups: None where no claim and no expression gives them; ``uid`` likewise."""

    username: PrefixedMapping
    groups: PrefixedMapping | None = None
    uid: Mapping | None = None
    extra: tuple[ExtraMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class JWTAuthenticator:
    issuer: Issuer
    claim_mappings: ClaimMappings
    claim_validation_rules: tuple[ClaimRule, ...] = ()
    user_validation_rules: tuple[UserRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Anonymous:
    enabled: bool = False
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthenticationConfiguration:
    jwt: tuple[JWTAuthenticator, ...] = ()
    anonymous: Anonymous | None = None


@dataclass(frozen=True, slots=True)
class StaticIssuer:
    """An issuer whose keys come from exactly one file.

    :param issuer: exact ``iss``; need not be a URL.
    :param signing_algorithms: None: those that fit the keys.
    """

    issuer: str
    audiences: tuple[str, ...]
    claim_mappings: ClaimMappings
    claim_validation_rules: tuple[ClaimRule, ...] = ()
    user_validation_rules: tuple[UserRule, ...] = ()
    certificate_file: Path | None = None
    public_key_file: Path | None = None
    jwks_file: Path | None = None
    signing_algorithms: tuple[str, ...] | None = None
    max_token_age: float | None = None
