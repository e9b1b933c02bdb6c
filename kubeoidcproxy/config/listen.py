"""``listen`` and ``trustedProxies``: the sockets that clients come in by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from kubeoidcproxy.config.section import Section
from kubeoidcproxy.config.values import Flag, Text

_HOST_AND_PORT: Final = re.compile(r"(?:\[(?P<v6>[^\[\]%]+)\]|(?P<host>[\w.-]*)):(?P<port>[0-9]{1,5})", re.ASCII)
# As systemd's FileDescriptorName= allows: no control character and no colon, which separates LISTEN_FDNAMES.
_SYSTEMD: Final = re.compile(r"systemd:(?P<name>[!-9;-~]{1,255})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TCPAddress:
    """:param host: without brackets; "" is every address of the machine."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SystemdSocket:
    """A socket that systemd bound and passed under this ``FileDescriptorName=``."""

    name: str


def parse_address(text: str) -> TCPAddress | SystemdSocket:
    if passed := _SYSTEMD.fullmatch(text):
        return SystemdSocket(passed["name"])
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError('must be "host:port", "[IPv6 address]:port" or "systemd:NAME"')
    if match["v6"]:
        IPv6Address(match["v6"])
    elif match["host"] and not set(match["host"]) - set("0123456789."):
        IPv4Address(match["host"])
    return TCPAddress(match["v6"] or match["host"], int(match["port"]))


def _checked_address(text: str) -> str:
    parse_address(text)
    return text


def _tcp_address(text: str) -> str:
    if isinstance(parse_address(text), SystemdSocket):
        raise ValueError('must be "host:port" or "[IPv6 address]:port"')
    return text


def _network(value: object) -> IPv4Network | IPv6Network:
    if not isinstance(value, str):
        raise ValueError("must be a CIDR")
    try:
        return ip_network(value)
    except ValueError as error:
        raise ValueError(f"must be a CIDR: {error}") from None


Address = Annotated[Text, AfterValidator(_checked_address)]
AddressOfTCP = Annotated[Text, AfterValidator(_tcp_address)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network), WithJsonSchema({"type": "string"})]


class Listener(Section):
    """One socket that clients connect to."""

    address: Address
    """"host:port", "[::]:8443", port 0 allowed (the bound port is logged), or "systemd:NAME"."""
    proxy_protocol: Flag = False
    """True: a PROXY v1/v2 header is required, and accepted from trustedProxies only."""

    @property
    def endpoint(self) -> TCPAddress | SystemdSocket:
        return parse_address(self.address)
