"""Kube's rules for an ``AuthenticationConfiguration``, in kube's order and words, and where we are stricter.

k8s.io/apiserver ``pkg/apis/apiserver/validation/validation.go``: ``ValidateAuthenticationConfiguration``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kubeoidcproxy.config import kube_url
from kubeoidcproxy.config.authentication import Anonymous, AuthenticationConfiguration, Issuer, JWTAuthenticator
from kubeoidcproxy.config.expressions import ExpressionCheck
from kubeoidcproxy.config.jwt_rules import JWTRules
from kubeoidcproxy.config.kube_errors import FieldError, duplicate, invalid, invalid_typed, required, too_many
from kubeoidcproxy.config.pem import certificate_fault
from kubeoidcproxy.config.problems import Location, dotted

MOST_AUTHENTICATORS: Final = 64
MATCH_ANY: Final = "MatchAny"


def validate(
    configuration: AuthenticationConfiguration,
    check_expressions: ExpressionCheck | None,
    *,
    base: Location = (),
    disallowed_issuers: Collection[str] = (),
) -> list[FieldError]:
    """:param base: where in the file the document starts.
    :param disallowed_issuers: issuers that somebody else serves already (kube: ``--service-account-issuer``).
    """
    jwt = (*base, "jwt")
    if len(configuration.jwt) > MOST_AUTHENTICATORS:
        return [too_many(jwt, len(configuration.jwt), MOST_AUTHENTICATORS)]
    errors: list[FieldError] = []
    urls: set[str] = set()
    discovery_urls: set[str] = set()
    for index, authenticator in enumerate(configuration.jwt):
        place = (*jwt, index)
        errors += _authenticator_errors(authenticator, place, base, check_expressions, sorted(disallowed_issuers))
        errors += _repeated(authenticator.issuer.url, urls, (*place, "issuer", "url"))
        if authenticator.issuer.discovery_url:
            errors += _repeated(authenticator.issuer.discovery_url, discovery_urls, (*place, "issuer", "discoveryURL"))
    return errors + list(_anonymous_errors(configuration.anonymous, (*base, "anonymous")))


def _authenticator_errors(
    authenticator: JWTAuthenticator,
    place: Location,
    base: Location,
    check: ExpressionCheck | None,
    disallowed: list[str],
) -> list[FieldError]:
    rules = JWTRules(check)
    rules.errors.extend(_issuer_errors(authenticator.issuer, (*place, "issuer"), base, disallowed))
    rules.judge_claim_rules(authenticator.claim_validation_rules, (*place, "claimValidationRules"))
    rules.judge_claim_mappings(authenticator.claim_mappings, (*place, "claimMappings"))
    rules.judge_user_rules(authenticator.user_validation_rules, (*place, "userValidationRules"))
    return rules.errors


def _issuer_errors(issuer: Issuer, place: Location, base: Location, disallowed: list[str]) -> Iterator[FieldError]:
    if issuer.url:
        yield from _url_errors(issuer.url, (*place, "url"), disallowed)
    else:
        yield required((*place, "url"))
    yield from _discovery_url_errors(issuer, (*place, "discoveryURL"))
    yield from _audience_errors(issuer, place, base)
    if issuer.certificate_authority and (fault := certificate_fault(issuer.certificate_authority)):
        yield invalid((*place, "certificateAuthority"), "<omitted>", fault)
    yield from _egress_errors(issuer.egress_selector_type, (*place, "egressSelectorType"))


def _discovery_url_errors(issuer: Issuer, place: Location) -> Iterator[FieldError]:
    if not issuer.discovery_url:
        return
    if issuer.url and issuer.url.rstrip("/") == issuer.discovery_url.rstrip("/"):
        yield invalid(place, issuer.discovery_url, "discoveryURL must be different from URL")
    yield from _url_errors(issuer.discovery_url, place, [])


def _url_errors(text: str, place: Location, disallowed: list[str]) -> Iterator[FieldError]:
    if text in disallowed:
        yield invalid(place, text, f"URL must not overlap with disallowed issuers: [{' '.join(disallowed)}]")
    try:
        url = kube_url.parse(text)
    except kube_url.URLError as error:
        yield invalid(place, text, str(error))
        return
    if url.scheme != "https":
        yield invalid(place, text, "URL scheme must be https")
    if url.has_userinfo:
        yield invalid(place, text, "URL must not contain a username or password")
    if url.query:
        yield invalid(place, text, "URL must not contain a query")
    if url.fragment:
        yield invalid(place, text, "URL must not contain a fragment")


def _audience_errors(issuer: Issuer, place: Location, base: Location) -> Iterator[FieldError]:
    audiences = (*place, "audiences")
    if not issuer.audiences:
        yield required(audiences, f"at least one {dotted(audiences[len(base) :])} is required")
        return
    seen: set[str] = set()
    for index, audience in enumerate(issuer.audiences):
        if not audience:
            yield required((*audiences, index))
        yield from _repeated(audience, seen, (*audiences, index))
    policy = issuer.audience_match_policy
    if len(issuer.audiences) > 1 and policy != MATCH_ANY:
        text = "audienceMatchPolicy must be MatchAny for multiple audiences"
        yield invalid_typed((*place, "audienceMatchPolicy"), policy, text)
    if len(issuer.audiences) == 1 and policy not in ("", MATCH_ANY):
        text = "audienceMatchPolicy must be empty or MatchAny for single audience"
        yield invalid_typed((*place, "audienceMatchPolicy"), policy, text)


def _egress_errors(selector: str, place: Location) -> Iterator[FieldError]:
    if selector in ("controlplane", "cluster"):
        # Stricter than kube (contract): to ignore it silently would change the way to the issuer.
        yield invalid_typed(place, selector, "there is no egress selector here")
    elif selector:
        yield invalid_typed(place, selector, "egress selector must be either controlplane or cluster")


def _anonymous_errors(anonymous: Anonymous | None, place: Location) -> Iterator[FieldError]:
    if anonymous is None:
        return
    if anonymous.enabled:
        # Stricter than kube (contract).
        yield FieldError((*place, "enabled"), "Invalid value: true: no request goes on without a caller")
    elif anonymous.paths:
        conditions = [{"Path": path} for path in anonymous.paths]
        text = "enabled should be set to true when conditions are defined"
        yield invalid_typed((*place, "conditions"), conditions, text)


def _repeated(text: str, seen: set[str], place: Location) -> Iterator[FieldError]:
    if text in seen:
        yield duplicate(place, text)
    seen.add(text)
