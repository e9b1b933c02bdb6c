"""``authentication``: who signs tokens, how long they are believed, and what is added to an identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from kubeoidcproxy.config.quantities import Duration, PositiveDuration, duration
from kubeoidcproxy.config.section import Breach, Section
from kubeoidcproxy.config.values import FilePath, Flag, NonEmpty, Text

ORIGINAL_USER_KEYS: Final = "originaluser.jetstack.io"
# In a schema, in place of a ``$ref`` that pydantic would want to resolve.
OF_KUBE: Final = "x-kubernetes-definition"

SigningAlgorithm = Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]


def _mapping(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping")
    return value


def _of_kube(definition: str) -> WithJsonSchema:
    """The schema of a part that is written as in AuthenticationConfiguration; ``schema`` puts the definition there."""
    return WithJsonSchema({OF_KUBE: definition})


def _list_of_kube(definition: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": {OF_KUBE: definition}})


# Parts in kube's own form stay plain values here: ``kube_decode`` reads them, strictly and with kube's texts.
Plain = Annotated[dict[Any, Any], BeforeValidator(_mapping)]
PlainConfiguration = Annotated[Plain, _of_kube("AuthenticationConfiguration")]
PlainClaimMappings = Annotated[Plain, _of_kube("ClaimMappings")]
PlainClaimRules = Annotated[tuple[Any, ...], _list_of_kube("ClaimValidationRule")]
PlainUserRules = Annotated[tuple[Any, ...], _list_of_kube("UserValidationRule")]


def exactly_one_source_of_keys(issuer: StaticIssuerSection) -> Iterator[Breach]:
    if sum(file is not None for file in (issuer.certificate_file, issuer.public_key_file, issuer.jwks_file)) != 1:
        yield (), "exactly one of certificateFile, publicKeyFile and jwksFile is required"


class StaticIssuerSection(Section):
    """An issuer without a discovery document: its keys come from a file."""

    issuer: Text
    """Exact `iss`; need not be a URL."""
    audiences: NonEmpty[Text]
    """A token must name one of these in `aud`."""
    certificate_file: FilePath | None = None
    """PEM certificates whose keys sign; may hold several, old and new, for rotation. Reloaded on change."""
    public_key_file: FilePath | None = None
    """PEM public keys; may hold several, old and new, for rotation. Reloaded on change."""
    jwks_file: FilePath | None = None
    """A JWK Set. Reloaded on change."""
    signing_algorithms: NonEmpty[SigningAlgorithm] | None = None
    """Default: those that fit the key's type."""
    max_token_age: PositiveDuration | None = None
    """exp - iat (or nbf) at most; iat or nbf then required."""
    claim_mappings: PlainClaimMappings
    """As in AuthenticationConfiguration."""
    claim_validation_rules: PlainClaimRules = ()
    """As in AuthenticationConfiguration."""
    user_validation_rules: PlainUserRules = ()
    """As in AuthenticationConfiguration."""

    rules = (exactly_one_source_of_keys,)


class ReservedIdentity(Section):
    """`system:` names that one issuer may put into its tokens."""

    issuer: Text
    """The issuer's URL, exactly as in its tokens."""
    users: tuple[Text, ...] = ()
    """User names that begin with system: and are let through."""
    groups: tuple[Text, ...] = ()
    """Groups that begin with system: and are let through."""


class Keys(Section):
    """How the issuers' signing keys are fetched and kept."""

    min_refresh_interval: Duration = duration("30s")
    """An unknown kid triggers at most one fetch per issuer in this time."""
    max_stale: PositiveDuration = duration("24h")
    """Keys older than this, with fetches failing, no longer verify."""
    cache_directory: FilePath | None = None
    """Last good keys kept here, so that a restart while the issuer is down still serves."""


class TokenPassthrough(Section):
    """Tokens that no issuer claims."""

    enabled: Flag = False
    """They go to TokenReview at the cluster, then pass unchanged, alone."""
    audiences: tuple[Text, ...] = ()
    """The audiences that the TokenReview asks for; none: the API server's own."""


def some_issuer(authentication: Authentication) -> Iterator[Breach]:
    if authentication.config_file is not None and authentication.config is not None:
        yield ("config",), "configFile and config exclude each other"
    if authentication.config_file is None and authentication.config is None and not authentication.static_issuers:
        yield (), "at least one of configFile, config and staticIssuers is required"


def own_keys_stay_ours(authentication: Authentication) -> Iterator[Breach]:
    for key in authentication.extra_user_headers:
        if key.lower().startswith(ORIGINAL_USER_KEYS):
            yield ("extraUserHeaders", key), f"keys that begin {ORIGINAL_USER_KEYS} are the proxy's own"


class Authentication(Section):
    """Who the callers are."""

    config_file: FilePath | None = None
    """kube-apiserver's AuthenticationConfiguration v1alpha1, v1beta1 or v1. anonymous.enabled: true is an error (no
    request goes on without a caller), so is an egressSelectorType. One of configFile, config, staticIssuers is
    required."""
    config: PlainConfiguration | None = None
    """The same inline."""
    static_issuers: tuple[StaticIssuerSection, ...] = ()
    """Issuers without a discovery document: keys from files (a pipeline that signs its own JWT)."""
    reserved_identities: tuple[ReservedIdentity, ...] = ()
    """`system:` names out of tokens are refused unless listed here for their issuer."""
    token_cache_ttl: Duration = Field(default=10.0, alias="tokenCacheTTL", json_schema_extra={"default": "10s"})
    """A verified token is remembered this long at most (never past exp); 0 = verify every request."""
    keys: Keys = Keys()
    """Fetched again every 10 min (Cache-Control: 1 to 10 min), at the latest after a third of maxStale; what fails,
    after 10 s, doubling with jitter to 60 s, Retry-After obeyed."""
    token_passthrough: TokenPassthrough = TokenPassthrough()
    """Tokens no issuer claims go to TokenReview at the cluster, then pass unchanged, alone (with Impersonate-*: 403;
    an API server with insecure-skip-tls-verify: an error)."""
    revocation_file: FilePath | None = None
    """YAML list of {jti|subject+issuer|username|issuer, until}: refused at once when the file changes; username as
    mapped, until in RFC 3339, without it for ever; a file that is gone or faulty leaves in force what was read last."""
    original_user_extra: Flag = True
    """With --as: who really called, in the extra keys originaluser.jetstack.io-user, -groups, -extra."""
    credential_id_extra: Flag = Field(default=False, alias="credentialIDExtra")
    """Forward authentication.kubernetes.io/credential-id."""
    extra_user_headers: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """{key: [values]} added to every identity's extra; keys that begin originaluser.jetstack.io are ours: refused
    here, in mappings and from clients."""
    client_ip_extra: Flag = Field(default=False, alias="clientIPExtra")
    """Adds extra remote-client-ip."""

    rules = (some_issuer, own_keys_stay_ours)
