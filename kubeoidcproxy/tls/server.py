"""Our side as a server: the certificate that a server name asks for."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from OpenSSL import SSL

from kubeoidcproxy.tls import unrecognized
from kubeoidcproxy.tls.certificates import CertificatePair
from kubeoidcproxy.tls.contexts import new_context
from kubeoidcproxy.tls.names import patterns_for

HTTP_1_1 = b"http/1.1"


class ServerContexts:
    """All our serving certificates; the first one also serves clients that send no server name.

    A reload replaces the whole set. A connection keeps the set that it began with, handshake included; no context is
    changed once it is in use (OpenSSL reads it without a lock, and pyOpenSSL forbids it).
    """

    def __init__(self, pairs: Sequence[CertificatePair], *, min_version: str = "1.2") -> None:
        unrecognized.silence()
        self._min_version = min_version
        self.replace(pairs)

    def replace(self, pairs: Sequence[CertificatePair], *, min_version: str | None = None) -> None:
        """Serve these from the next connection on. Fails without any change."""
        version = self._min_version if min_version is None else min_version
        self._serving = _ServingSet(pairs, version)
        self._min_version = version
        self.pairs = tuple(pairs)

    def connection(self, sock: socket.socket | None = None) -> SSL.Connection:
        """A new server-side connection, on a socket or (None) on memory BIOs."""
        connection = SSL.Connection(self._serving.default, sock)
        connection.set_accept_state()
        return connection


class _ServingSet:
    """Contexts by the patterns of their certificates, never changed."""

    def __init__(self, pairs: Sequence[CertificatePair], min_version: str) -> None:
        if not pairs:
            raise ValueError("at least one certificate is needed to serve")
        self._by_pattern: dict[str, SSL.Context] = {}
        contexts = [self._context(pair, min_version) for pair in pairs]
        for pair, context in zip(pairs, contexts, strict=True):
            for pattern in _patterns(pair):
                self._by_pattern.setdefault(pattern, context)
        self.default = contexts[0]

    def _context(self, pair: CertificatePair, min_version: str) -> SSL.Context:
        context = new_context(min_version)
        pair.install(context)
        context.set_alpn_select_callback(_select_http_1_1)
        context.set_tlsext_servername_callback(self._choose)
        return context

    def _choose(self, connection: SSL.Connection) -> None:
        """The SNI callback. OpenSSL calls it for clients without a server name as well."""
        name = connection.get_servername()
        if name is None:
            return
        for pattern in patterns_for(name):
            context = self._by_pattern.get(pattern)
            if context is not None:
                connection.set_context(context)
                return
        # To return would let the handshake go on with the default certificate. Any exception becomes the alert
        # unrecognized_name (112); this class stays out of stderr.
        raise unrecognized.UnrecognizedName


def _patterns(pair: CertificatePair) -> Iterator[str]:
    yield from pair.dns_names
    # RFC 6066 §3 has no addresses in SNI, yet some clients send them.
    yield from map(str, pair.addresses)


def _select_http_1_1(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if HTTP_1_1 in offered:
        return HTTP_1_1
    # RFC 7301 §3.2: alert no_application_protocol (120). Only an SSL.Error lets Twisted flush the alert that OpenSSL
    # wrote; NO_OVERLAPPING_PROTOCOLS would go on without ALPN, and a client that speaks h2 only would send us h2.
    raise SSL.Error([("SSL routines", "", "no application protocol")])
