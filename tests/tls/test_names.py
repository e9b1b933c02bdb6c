"""Names and patterns."""

from __future__ import annotations

import pytest

from kubeoidcproxy.tls.names import matches, normalise, patterns_for


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("prod.k8s.example.com", "prod.k8s.example.com"),
        ("prod.k8s.example.com", b"PROD.k8s.Example.com."),
        ("Prod.Example.com.", "prod.example.com"),
        ("*.k8s.example.com", "prod.k8s.example.com"),
        ("*.k8s.example.com", "PROD.K8S.example.com."),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_covers(pattern: str, name: str | bytes) -> None:
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.k8s.example.com", "k8s.example.com"),
        ("*.k8s.example.com", "a.b.k8s.example.com"),
        ("*.k8s.example.com", ".k8s.example.com"),
        ("*.k8s.example.com", "*.k8s.example.com"),
        ("p*.example.com", "prod.example.com"),
        ("*", "localhost"),
        ("", ""),
        ("", "."),
        ("a.example.com", "a.example.com.."),
        ("a.example.com", b"a.example.com\xff"),
        ("a b", "a b"),
        ("a\n", "a\n"),
    ],
)
def test_does_not_cover(pattern: str, name: str | bytes) -> None:
    assert not matches(pattern, name)


def test_the_exact_name_is_tried_before_the_wildcard() -> None:
    assert patterns_for("a.b.c") == ("a.b.c", "*.b.c")


def test_what_is_not_ascii_is_no_name() -> None:
    assert normalise("bücher.example") == ""
    assert normalise("ﬁ.example") == ""
    assert normalise("\N{KELVIN SIGN}8s.example") == ""
