from __future__ import annotations

import pytest

from kubeoidcproxy.config.extra_keys import NO_SUBDOMAIN, key_errors

RESERVED = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"


@pytest.mark.parametrize(
    "key", ["example.org/a", "corp/dept", "a.b/c/d", "ak8s.io/x", "example.org/a-._~%!$&'()*+,;=:/b"]
)
def test_good_keys(key: str) -> None:
    assert key_errors(key, ("key",)) == []


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ("", ["Required value"]),
        ("foo", ['Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")']),
        ("/foo", ['Invalid value: "/foo": must be a domain-prefixed path (such as "acme.io/foo")']),
        ("a_b/foo", [f'Invalid value: "a_b": {NO_SUBDOMAIN}']),
        ("a.io/foo", []),
        ("example.org/Foo", ['Invalid value: "example.org/Foo": must be lowercase']),
        ("k8s.io/foo", [f'Invalid value: "k8s.io/foo": {RESERVED}']),
        ("a.kubernetes.io/foo", [f'Invalid value: "a.kubernetes.io/foo": {RESERVED}']),
    ],
)
def test_kubes_texts(key: str, texts: list[str]) -> None:
    assert [error.text for error in key_errors(key, ("key",))] == texts


def test_the_path_has_kubes_alphabet() -> None:
    [error] = key_errors("example.org/a b", ("key",))
    assert error.text.startswith('Invalid value: "a b": Invalid path (regex used for validation is ')


def test_the_domain_has_at_most_253_bytes() -> None:
    assert "must be no more than 253 bytes" in key_errors(f"{'a' * 254}/b", ("key",))[0].text


def test_the_proxys_own_keys_are_refused() -> None:
    """They say who really called; nobody else may write them (contract)."""
    [error] = key_errors("originaluser.jetstack.io/user", ("key",))
    assert "the proxy's own" in error.text
