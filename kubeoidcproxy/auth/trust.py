"""The configuration of issuers to what :mod:`.verification` and the edges need of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kubeoidcproxy.auth.discovery import discovery_url
from kubeoidcproxy.auth.jws import ALGORITHMS
from kubeoidcproxy.auth.mapping import ClaimCheck, ClaimMapping, groups_claim, required_claim, uid_claim, username_claim
from kubeoidcproxy.auth.names import AllowedNames
from kubeoidcproxy.auth.verification import Trust
from kubeoidcproxy.config.authentication import ClaimMappings, ClaimRule, JWTAuthenticator, StaticIssuer
from kubeoidcproxy.config.issuers import ReservedIdentity


@dataclass(frozen=True, slots=True)
class PublishedAt:
    """Keys that an issuer publishes; :param certificate_authority: PEM, None for the system's roots."""

    issuer: str
    discovery_url: str
    certificate_authority: str | None


@dataclass(frozen=True, slots=True)
class KeptIn:
    """Keys that lie in a file."""

    issuer: str
    path: Path
    form: Literal["certificates", "public keys", "JWKS"]


KeyOrigin = PublishedAt | KeptIn


@dataclass(frozen=True, slots=True)
class AcceptedIssuer:
    """What is believed of an issuer, and where its keys are."""

    trust: Trust
    origin: KeyOrigin


def accepted_issuers(
    published: Iterable[JWTAuthenticator],
    static: Iterable[StaticIssuer] = (),
    reserved: Iterable[ReservedIdentity] = (),
    *,
    credential_id: bool = False,
) -> tuple[AcceptedIssuer, ...]:
    """All issuers of a configuration.

    :param reserved: ``reservedIdentities``.
    :param credential_id: ``credentialIDExtra``.
    :raises ValueError: an issuer is there twice, or uses an expression (there is no CEL yet).
    """
    names = _allowed_names(reserved)
    accepted = [_published(config, names, credential_id) for config in published]
    accepted += [_static(config, names, credential_id) for config in static]
    if len({issuer.trust.issuer for issuer in accepted}) != len(accepted):
        raise ValueError("an issuer is configured twice")
    return tuple(accepted)


def trust_of_issuer(
    config: JWTAuthenticator, allowed_names: AllowedNames | None = None, *, credential_id: bool = False
) -> Trust:
    """Trust in one issuer of an AuthenticationConfiguration. All nine algorithms, as in kube with such a file; which of
    them counts for a key, its own type says (law 5)."""
    issuer = config.issuer
    names = allowed_names or AllowedNames()
    return Trust(issuer.url, issuer.audiences, _mapping(config), ALGORITHMS, None, names, credential_id)


def _published(config: JWTAuthenticator, names: dict[str, AllowedNames], credential_id: bool) -> AcceptedIssuer:
    issuer = config.issuer
    trust = trust_of_issuer(config, names.get(issuer.url), credential_id=credential_id)
    url = discovery_url(issuer.url, issuer.discovery_url)
    return AcceptedIssuer(trust, PublishedAt(issuer.url, url, issuer.certificate_authority))


def _static(config: StaticIssuer, names: dict[str, AllowedNames], credential_id: bool) -> AcceptedIssuer:
    trust = Trust(
        config.issuer,
        config.audiences,
        _mapping(config),
        tuple(sorted(config.signing_algorithms or ALGORITHMS)),
        config.max_token_age,
        names.get(config.issuer, AllowedNames()),
        credential_id,
    )
    return AcceptedIssuer(trust, _file(config))


def _file(config: StaticIssuer) -> KeptIn:
    if config.certificate_file is not None:
        return KeptIn(config.issuer, config.certificate_file, "certificates")
    if config.public_key_file is not None:
        return KeptIn(config.issuer, config.public_key_file, "public keys")
    if config.jwks_file is not None:
        return KeptIn(config.issuer, config.jwks_file, "JWKS")
    raise ValueError(f"issuer {config.issuer} has no file of keys")


def _allowed_names(reserved: Iterable[ReservedIdentity]) -> dict[str, AllowedNames]:
    names: dict[str, AllowedNames] = {}
    for entry in reserved:
        known = names.get(entry.issuer, AllowedNames())
        names[entry.issuer] = AllowedNames(known.users | {*entry.users}, known.groups | {*entry.groups})
    return names


def _mapping(config: JWTAuthenticator | StaticIssuer) -> ClaimMapping:
    if config.user_validation_rules:
        raise ValueError("not supported yet: userValidationRules")
    mappings = config.claim_mappings
    _refuse_expressions(mappings)
    return ClaimMapping(
        username_claim(mappings.username.claim, mappings.username.prefix or ""),
        groups_claim(mappings.groups.claim, mappings.groups.prefix or "") if mappings.groups else None,
        uid_claim(mappings.uid.claim) if mappings.uid else None,
        claim_checks=tuple(map(_claim_check, config.claim_validation_rules)),
    )


def _claim_check(rule: ClaimRule) -> ClaimCheck:
    if rule.expression:
        raise ValueError("not supported yet: claimValidationRules.expression")
    return required_claim(rule.claim, rule.required_value)


def _refuse_expressions(mappings: ClaimMappings) -> None:
    parts = {"username": mappings.username, "groups": mappings.groups, "uid": mappings.uid}
    for name, part in parts.items():
        if part is not None and part.expression:
            raise ValueError(f"not supported yet: claimMappings.{name}.expression")
    if mappings.extra:
        raise ValueError("not supported yet: claimMappings.extra")
