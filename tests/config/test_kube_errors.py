"""The texts are those of Go's fmt and of k8s.io/apimachinery's field errors, to the letter."""

from __future__ import annotations

import pytest

from kubeoidcproxy.config.kube_errors import duplicate, invalid, invalid_typed, quoted, required, too_many


@pytest.mark.parametrize(
    ("text", "go"),
    [
        ("a", '"a"'),
        ('a"b\\', r'"a\"b\\"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x00\x1f\x7f", r'"\x00\x1f\x7f"'),
        ("ä 世", '"ä 世"'),
        ("\x80\u200b\ufeff", r'"\u0080\u200b\ufeff"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("<&>", '"<&>"'),
    ],
)
def test_quoted(text: str, go: str) -> None:
    assert quoted(text) == go


def test_texts() -> None:
    place = ("jwt", 0, "issuer", "url")
    assert str(required(place)) == "jwt[0].issuer.url: Required value"
    assert str(required(place, "d")) == "jwt[0].issuer.url: Required value: d"
    assert str(invalid(place, "x", "d")) == 'jwt[0].issuer.url: Invalid value: "x": d'
    assert str(invalid_typed(place, "<x>", "d")) == 'jwt[0].issuer.url: Invalid value: "\\u003cx\\u003e": d'
    assert str(invalid_typed(place, [{"Path": "/a"}], "d")) == 'jwt[0].issuer.url: Invalid value: [{"Path":"/a"}]: d'
    assert str(duplicate(place, "x")) == 'jwt[0].issuer.url: Duplicate value: "x"'
    assert str(too_many(("jwt",), 65, 64)) == "jwt: Too many: 65: must have at most 64 items"
