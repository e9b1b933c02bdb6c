"""OpenID Connect Discovery 1.0: where an issuer publishes its keys.

The document is the issuer's word on one thing only, its ``jwks_uri``. Which algorithms are believed is not its choice
(RFC 8725 section 3.1).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from kubeoidcproxy.auth.keyset import UnusableKeys
from kubeoidcproxy.auth.refusals import quoted
from kubeoidcproxy.auth.strictjson import parse_object

# Addresses where clouds hand out the credentials of the machine; an issuer has no business there. The first two are
# link-local as a whole, the others are AWS's and Alibaba's, and Azure's wire server.
_FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32")
)


def discovery_url(issuer: str, explicit: str = "") -> str:
    """Where the document is: as configured, else below the issuer (Discovery section 4, as go-oidc joins it)."""
    return explicit or issuer.removesuffix("/") + "/.well-known/openid-configuration"


def read_jwks_uri(document: bytes, issuer: str) -> str:
    """The address of the keys; UnusableKeys if the document is not this issuer's or names none that may be asked."""
    try:
        members = parse_object(document)
    except ValueError as error:
        raise UnusableKeys(f"the discovery document is not readable: {error}") from None
    named = members.get("issuer")
    if named != issuer:  # section 4.3, exactly: a slash at the end makes another issuer
        got = quoted(named) if isinstance(named, str) else "none"
        raise UnusableKeys(
            f"oidc: issuer did not match the issuer returned by provider, expected {quoted(issuer)} got {got}"
        )
    uri = members.get("jwks_uri")
    if not isinstance(uri, str):
        raise UnusableKeys("the discovery document has no jwks_uri")
    _check_uri(uri)
    return uri


def is_forbidden_address(host: str) -> bool:
    """Whether a host is, literally, an address that nothing is fetched from."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in _FORBIDDEN)


def _check_uri(uri: str) -> None:
    """The host may be any (Google's is another than its issuer's) but the machine's own neighbourhood."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UnusableKeys(f"jwks_uri {quoted(uri)} is no URL") from None
    if parts.scheme != "https" or not host or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise UnusableKeys(f"jwks_uri {quoted(uri)} is no https URL")
    if parts.username is not None or is_forbidden_address(host):
        raise UnusableKeys(f"jwks_uri {quoted(uri)} is not an address that keys are fetched from")
