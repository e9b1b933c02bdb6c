from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from kubeoidcproxy.config.listen import AddressOfTCP, Listener, Network, SystemdSocket, TCPAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8443", TCPAddress("0.0.0.0", 8443)),
        ("127.0.0.1:0", TCPAddress("127.0.0.1", 0)),
        ("[::]:8443", TCPAddress("::", 8443)),
        ("[2001:db8::1]:443", TCPAddress("2001:db8::1", 443)),
        ("localhost:8443", TCPAddress("localhost", 8443)),
        (":8443", TCPAddress("", 8443)),
        ("systemd:https", SystemdSocket("https")),
    ],
)
def test_addresses(text: str, address: TCPAddress | SystemdSocket) -> None:
    assert parse_address(text) == address
    assert Listener.model_validate({"address": text}).endpoint == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "8443", "a", "a:", "a:65536", "a:-1", "a:+1", "a:x", "::1:80", "[::1]", "[::1]80", "[x]:80", "a b:80"),
        *("300.0.0.1:80", "10.1:80", "systemd:", "systemd:a:b", "systemd:a b", "a:80\n", "[fe80::1%eth0]:80", "a:٣"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValidationError):
        Listener.model_validate({"address": text})


def test_the_admin_address_is_no_systemd_socket() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AddressOfTCP).validate_python("systemd:admin")


@pytest.mark.parametrize("text", ["10.0.0.0/8", "::/0", "127.0.0.1", "10.1.2.3/32"])
def test_networks(text: str) -> None:
    assert TypeAdapter(Network).validate_python(text) == ip_network(text)


@pytest.mark.parametrize("value", ["", "10.0.0.0/33", "10.0.0.1/8", "x", "10.0.0.0/", 10, None])
def test_what_is_no_network(value: Any) -> None:
    """Host bits: nobody can tell whether the address or the net was meant."""
    with pytest.raises(ValidationError):
        TypeAdapter(Network).validate_python(value)
