"""Protobuf bodies, as kubectl 1.32 and later write them."""

from __future__ import annotations

import pytest

from kubeoidcproxy.sandbox.apiserver.protobuf import decode


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def envelope(kind: str, raw: bytes, api_version: str = "v1") -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw) + field(3, "") + field(4, "")


def test_an_access_review() -> None:
    attributes = b"".join(field(n, v) for n, v in enumerate(("shop", "list", "apps", "", "deployments", "", ""), 1))
    raw = field(1, field(1, "")) + field(2, field(1, attributes)) + field(3, field(1, 0))
    assert decode(envelope("SelfSubjectAccessReview", raw, "authorization.k8s.io/v1")) == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {
            "resourceAttributes": {"namespace": "shop", "verb": "list", "group": "apps", "resource": "deployments"}
        },
    }


def test_a_token_request_keeps_its_numbers() -> None:
    raw = field(2, field(1, "a") + field(1, "b") + field(4, 700))
    spec = decode(envelope("TokenRequest", raw, "authentication.k8s.io/v1"))["spec"]
    assert spec == {"audiences": ["a", "b"], "expirationSeconds": 700}


def test_maps_and_empty_list_elements() -> None:
    data = field(2, field(1, "k") + field(2, "v")) + field(2, field(1, "empty"))
    assert decode(envelope("ConfigMap", data))["data"] == {"k": "v", "empty": ""}
    rule = field(2, field(1, "get") + field(2, "") + field(3, "pods"))
    assert decode(envelope("Role", rule))["rules"] == [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        envelope("Nonsense", b""),
        envelope("ConfigMap", field(9, "lost")),
        envelope("ConfigMap", b"\x0a\x20short"),
        envelope("ConfigMap", b"\x0a"),
        envelope("ConfigMap", b"\x0d\x00\x00\x00\x00"),
        envelope("ConfigMap", field(1, 5)),
        b"k8s\x00",
    ],
)
def test_what_cannot_be_read_is_an_error(body: bytes) -> None:
    """Nothing is lost in silence: an unknown field with a value is an error too."""
    with pytest.raises(ValueError):  # noqa: PT011 - the texts differ, the type is the contract
        decode(body)
