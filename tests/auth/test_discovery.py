"""Where an issuer's keys are, and where they may not be."""

from __future__ import annotations

import json

import pytest

from kubeoidcproxy.auth.discovery import discovery_url, is_forbidden_address, read_jwks_uri
from kubeoidcproxy.auth.keyset import UnusableKeys

ISSUER = "https://idp.example.test"


def document(**members: object) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": "https://keys.example.test/k", **members}).encode()


def test_url() -> None:
    """One slash at the end is left out, as go-oidc does; an explicit URL is taken as it is."""
    expected = "https://a/b/.well-known/openid-configuration"
    assert discovery_url("https://a/b") == discovery_url("https://a/b/") == expected
    assert discovery_url("https://a/b", "https://c/d/") == "https://c/d/"


def test_jwks_uri() -> None:
    assert (
        read_jwks_uri(document(id_token_signing_alg_values_supported=["none"]), ISSUER) == "https://keys.example.test/k"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"<html>", "not readable"),
        (b"[]", "not readable"),
        (document(issuer=ISSUER + "/"), f'expected "{ISSUER}" got "{ISSUER}/"'),
        (document(issuer=None), "got none"),
        (document(jwks_uri=None), "no jwks_uri"),
        (document(jwks_uri="http://keys.example.test/k"), "no https URL"),
        (document(jwks_uri="https:///k"), "no https URL"),
        (document(jwks_uri="https://a b/k"), "no https URL"),
        (document(jwks_uri="https://[::1/k"), "no URL"),
        (document(jwks_uri="https://a:99999/k"), "no URL"),
        (document(jwks_uri="https://user@a/k"), "not an address"),
        (document(jwks_uri="https://169.254.169.254/k"), "not an address"),
        (document(jwks_uri="https://[fe80::1]/k"), "not an address"),
        (document(jwks_uri="https://[::ffff:169.254.1.1]/k"), "not an address"),
    ],
)
def test_refused(text: bytes, error: str) -> None:
    with pytest.raises(UnusableKeys) as caught:
        read_jwks_uri(text, ISSUER)
    assert error in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "::1", "keys.example.test", "2001:db8::1", ""])
def test_other_addresses_are_fine(host: str) -> None:
    """Loopback and private networks, too: an issuer may live beside the proxy."""
    assert not is_forbidden_address(host)
