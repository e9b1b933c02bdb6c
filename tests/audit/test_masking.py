"""What looks like a JWT is masked, and nothing that an operator needs to read."""

from __future__ import annotations

import pytest

from kubeoidcproxy.audit.masking import MASK, masked

HEADER, CLAIMS, SIGNATURE = "eyJhbGciOiJSUzI1NiJ9", "eyJzdWIiOiJhbGljZSJ9", "AbC-_9"


@pytest.mark.parametrize(
    "token",
    [
        f"{HEADER}.{CLAIMS}.{SIGNATURE}",
        f"{HEADER}.{CLAIMS}.",
        f"{HEADER}.{CLAIMS}",
        f"{HEADER}%2E{CLAIMS}%2e{SIGNATURE}",
        f"{HEADER}.a.b.c.d",
        f"eyAiYWxnIjogIlJTMjU2IiB9.{CLAIMS}.{SIGNATURE}",
    ],
)
def test_a_token_is_masked(token: str) -> None:
    """Signed, unsigned, cut off, encrypted, with encoded dots; the rest of the text stays."""
    assert masked(f"/x?token={token}&y=1 {token}") == f"/x?token={MASK}&y=1 {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "/api/v1/namespaces/eyjafjallajokull.is.a/pods",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/keys.example.com",
        "/api/v1/pods?limit=500&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0",
        "eyJ",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    """Names are lowercase, and the continue token of a list is one part of base64url."""
    assert masked(text) == text
