"""The linter: settings that are allowed and risky.  Each check is one function; ``CHECKS`` names them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from kubeoidcproxy.config.authentication import AuthenticationConfiguration, JWTAuthenticator, StaticIssuer
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import Location, Problem
from kubeoidcproxy.config.shared_issuers import is_bound, owner_claims
from kubeoidcproxy.config.source import Source

# A memory of verified tokens that is longer than this outlives most tokens of pipelines.
_LONG_TOKEN_MEMORY: Final = 300.0
# Keys are fetched every 10 minutes: an age below two of these would lock users out at the first failure.
_SHORT_KEY_AGE: Final = 1200.0
_HUGE_HEAD: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged, and the files it stands in.

    :param authentication_source: of the AuthenticationConfiguration; ``base`` says where in it.
    """

    config: Config
    source: Source
    authentication: AuthenticationConfiguration
    authentication_source: Source
    static_issuers: tuple[StaticIssuer, ...]

    def issuers(self) -> Iterator[tuple[str, JWTAuthenticator | StaticIssuer, Source, Location]]:
        for index, authenticator in enumerate(self.authentication.jwt):
            yield authenticator.issuer.url, authenticator, self.authentication_source, ("jwt", index)
        for index, static in enumerate(self.static_issuers):
            yield static.issuer, static, self.source, ("authentication", "staticIssuers", index)


Check = Callable[[Subject], Iterator[Problem]]


def shared_issuer_without_owner(subject: Subject) -> Iterator[Problem]:
    for url, issuer, source, place in subject.issuers():
        claims = owner_claims(url)
        if claims and not is_bound(claims, issuer.claim_validation_rules, issuer.user_validation_rules):
            text = f"{url} signs for everybody: no rule looks at {', '.join(claims)}"
            yield source.warning(place, text)


def one_prefix_of_two_issuers(subject: Subject) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for url, issuer, source, place in subject.issuers():
        prefix = issuer.claim_mappings.username.prefix
        if prefix is None:
            continue
        if prefix in owners:
            text = f'the username prefix "{prefix}" is also that of {owners[prefix]}: one could name users of the other'
            yield source.warning((*place, "claimMappings", "username", "prefix"), text)
        owners.setdefault(prefix, url)


def empty_prefix(subject: Subject) -> Iterator[Problem]:
    for url, issuer, source, place in subject.issuers():
        mappings = issuer.claim_mappings
        for key, mapping in (("username", mappings.username), ("groups", mappings.groups)):
            if mapping is not None and mapping.prefix == "":
                text = f"empty: {url} may name any {'user' if key == 'username' else 'group'} of the clusters"
                yield source.warning((*place, "claimMappings", key, "prefix"), text)


def email_as_username(subject: Subject) -> Iterator[Problem]:
    for _, issuer, source, place in subject.issuers():
        rules = issuer.claim_validation_rules
        if issuer.claim_mappings.username.claim == "email" and not any(
            rule.claim == "email_verified" for rule in rules
        ):
            text = "email: a token without email_verified is believed; addresses change hands"
            yield source.warning((*place, "claimMappings", "username", "claim"), text)


def cluster_of_nobody(subject: Subject) -> Iterator[Problem]:
    known = {url for url, *_ in subject.issuers()}
    for index, cluster in enumerate(subject.config.clusters):
        for place, issuer in enumerate(cluster.issuers or ()):
            if issuer not in known:
                yield subject.source.warning(("clusters", index, "issuers", place), f"there is no issuer {issuer}")
        for key, value in (("issuers", cluster.issuers), ("audiences", cluster.audiences)):
            if value == ():
                yield subject.source.warning(("clusters", index, key), "an empty list: nobody reaches this cluster")


def cluster_without_a_way(subject: Subject) -> Iterator[Problem]:
    config = subject.config
    for index, cluster in enumerate(config.clusters):
        if not cluster.server_names and not cluster.path_prefix and config.default_cluster != cluster.name:
            text = "no server name, no path prefix, not the default cluster: no request reaches it"
            yield subject.source.warning(("clusters", index), text)


def admin_for_everybody(subject: Subject) -> Iterator[Problem]:
    admin = subject.config.admin
    if admin is not None and not _is_loopback(admin.endpoint.host):
        text = "not a loopback address: metrics are readable by everybody who reaches it"
        yield subject.source.warning(("admin", "address"), text)


def odd_limits(subject: Subject) -> Iterator[Problem]:
    limits, authentication = subject.config.limits, subject.config.authentication
    odd: tuple[tuple[bool, Location, str], ...] = (
        (
            limits.max_token_size >= limits.max_head_size,
            ("limits", "maxTokenSize"),
            "not below maxHeadSize, which holds the token: 431 comes first",
        ),
        (limits.max_head_size > _HUGE_HEAD, ("limits", "maxHeadSize"), "every connection may take this much memory"),
        (
            limits.head_timeout > limits.idle_timeout,
            ("limits", "headTimeout"),
            "longer than idleTimeout: a slow head is kept longer than a silent connection",
        ),
        (
            authentication.token_cache_ttl > _LONG_TOKEN_MEMORY,
            ("authentication", "tokenCacheTTL"),
            "changes of keys and rules reach remembered tokens this late",
        ),
        (
            authentication.keys.max_stale < _SHORT_KEY_AGE,
            ("authentication", "keys", "maxStale"),
            "keys are fetched every 10 min: one failure locks users out",
        ),
    )
    return (subject.source.warning(place, text) for is_odd, place, text in odd if is_odd)


CHECKS: Final[tuple[Check, ...]] = (
    shared_issuer_without_owner,
    one_prefix_of_two_issuers,
    empty_prefix,
    email_as_username,
    cluster_of_nobody,
    cluster_without_a_way,
    admin_for_everybody,
    odd_limits,
)


def warnings_of(subject: Subject) -> Iterator[Problem]:
    for check in CHECKS:
        yield from check(subject)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
