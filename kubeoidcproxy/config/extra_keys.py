"""Keys of ``claimMappings.extra``: domain-prefixed, lower case, and in nobody else's domain."""

from __future__ import annotations

import re
from typing import Final

from kubeoidcproxy.config.issuers import ORIGINAL_USER_KEYS
from kubeoidcproxy.config.kube_errors import FieldError, invalid, required
from kubeoidcproxy.config.problems import Location

# k8s.io/apimachinery pkg/util/validation/validation.go: dns1123SubdomainFmt and httpPathFmt.
_SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_LONGEST_SUBDOMAIN: Final = 253

NO_SUBDOMAIN: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_KUBERNETES: Final = ("k8s.io", "kubernetes.io")


def key_errors(key: str, location: Location) -> list[FieldError]:
    errors = _prefixed_path_errors(key, location)
    if key != key.lower():
        errors.append(invalid(location, key, "must be lowercase"))
    domain = key.partition("/")[0] if "/" in key else ""
    if any(domain == reserved or domain.endswith(f".{reserved}") for reserved in _KUBERNETES):
        text = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
        errors.append(invalid(location, key, text))
    # Not kube's rule but the contract's: these keys say who really called, so nobody else may write them.
    if key.startswith(ORIGINAL_USER_KEYS):
        errors.append(invalid(location, key, f"keys that begin {ORIGINAL_USER_KEYS} are the proxy's own"))
    return errors


def _prefixed_path_errors(key: str, location: Location) -> list[FieldError]:
    """IsDomainPrefixedPath."""
    if not key:
        return [required(location)]
    domain, _, path = key.partition("/")
    if not domain or not path:
        return [invalid(location, key, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [invalid(location, domain, text) for text in _subdomain_errors(domain)]
    if not re.fullmatch(_PATH, path):
        errors.append(invalid(location, path, f"Invalid path (regex used for validation is '{_PATH}')"))
    return errors


def _subdomain_errors(domain: str) -> list[str]:
    texts = []
    if len(domain.encode()) > _LONGEST_SUBDOMAIN:
        texts.append(f"must be no more than {_LONGEST_SUBDOMAIN} bytes")
    if not re.fullmatch(_SUBDOMAIN, domain):
        texts.append(NO_SUBDOMAIN)
    return texts
