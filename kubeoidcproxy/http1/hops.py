"""What a head says about this connection alone (RFC 9110 section 7.6.1): options, upgrade, expectation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubeoidcproxy.http1.framing import NO_BODY, Framing
from kubeoidcproxy.http1.malformed import Malformed

# RFC 9110 section 7.6.1 and what older proxies used. They are about one hop, so they end here.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"te",
        b"upgrade",
        b"http2-settings",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"trailer",
    }
)

# P8: a client that could name one of these away would decide what the API server is told of it
# (Rancher CVE-2021-31999: "Connection: Impersonate-User" ran the request as the proxy).
PROTECTED = frozenset({b"authorization", b"host", b"content-length", b"transfer-encoding", b"audit-id", b"expect"})
PROTECTED_PREFIXES = (b"impersonate", b"x-remote-", b"x-forwarded-", b"sec-websocket-")

OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings"})
MAX_OPTIONS = 64  # no client names more than three

UPGRADES = {b"websocket": b"websocket", b"spdy/3.1": b"SPDY/3.1"}  # P11


@dataclass(frozen=True, slots=True)
class Hops:
    """The hop-by-hop part of a head.

    :param close: the sender will not use the connection again.
    :param nominated: names in lower case that ``Connection`` removes from what goes on.
    :param upgrade: the protocol asked for, as we spell it, or b"".
    :param expects_continue: the sender waits for a 100 before its body.
    """

    close: bool = False
    nominated: frozenset[bytes] = frozenset()
    upgrade: bytes = b""
    expects_continue: bool = False


PLAIN = Hops()


def request_hops(index: Mapping[bytes, Sequence[bytes]], framing: Framing) -> Hops:
    """Judge ``Connection``, ``Upgrade`` and ``Expect`` of a request.

    :raises Malformed: 400, or 417 for an expectation that is not ours to meet.
    """
    if b"connection" not in index and b"expect" not in index:
        return PLAIN  # an Upgrade that Connection does not name is no upgrade (RFC 9110 section 7.8); it is dropped
    options = _options(index.get(b"connection", ()))
    nominated = options - OPTIONS
    for name in nominated:
        if name in PROTECTED or name.startswith(PROTECTED_PREFIXES):
            raise Malformed("Connection names a protected header")
    upgrade = _upgrade(index.get(b"upgrade", ()), framing) if b"upgrade" in options else b""
    return Hops(b"close" in options, nominated, upgrade, _expectation(index.get(b"expect", ())))


def _options(values: Sequence[bytes]) -> frozenset[bytes]:
    options = [option.strip(b" \t").lower() for value in values for option in value.split(b",")]
    if len(options) > MAX_OPTIONS:
        raise Malformed("too many Connection options")
    return frozenset(options) - {b""}


def _upgrade(values: Sequence[bytes], framing: Framing) -> bytes:
    wanted = [value.lower() for value in values]
    if not wanted or wanted == [b"h2c"]:  # P11: h2c is stripped, the request goes on as HTTP/1.1
        return b""
    if len(wanted) != 1 or wanted[0] not in UPGRADES:
        raise Malformed("unknown Upgrade")
    if framing is not NO_BODY:
        raise Malformed("Upgrade with a body")
    return UPGRADES[wanted[0]]


def _expectation(values: Sequence[bytes]) -> bool:
    if not values:
        return False
    if len(values) != 1 or values[0].lower() != b"100-continue":  # P12, RFC 9110 section 10.1.1
        raise Malformed("unknown expectation", 417)
    return True
