"""An HTTPS agent for the servers of one issuer: its roots, its addresses, and bytes as they are."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from kubeoidcproxy.auth.discovery import is_forbidden_address

CONNECT_TIMEOUT = 3  # seconds, for an address; the deadline of the whole fetch is the caller's

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Refused(Exception):
    """The server is reachable, and is not one to listen to."""


def https_agent(reactor: Any, certificate_authority: str | None = None) -> IAgent:
    """An agent that keeps no connections.

    :param certificate_authority: PEM that replaces the system's roots, as in AuthenticationConfiguration.
    """
    factory = _Endpoints(reactor, _Policy(certificate_authority))
    return _PlainAgent(Agent.usingEndpointFactory(reactor, factory, HTTPConnectionPool(reactor, persistent=False)))


def discard(response: IResponse) -> None:
    """Close the connection of an answer whose body nobody wants."""
    response.deliverBody(_Discard())


@implementer(IPolicyForHTTPS)
class _Policy:
    """TLS 1.2 or newer, the server's name verified, under the roots of one issuer."""

    def __init__(self, certificate_authority: str | None) -> None:
        self._roots = ssl.platformTrust()
        if certificate_authority:
            blocks = _CERTIFICATE.findall(certificate_authority)
            self._roots = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(block) for block in blocks])

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return ssl.optionsForClientTLS(
            hostname.decode("ascii"),
            trustRoot=self._roots,
            extraCertificateOptions={"raiseMinimumTo": ssl.TLSVersion.TLSv1_2},
        )


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, reactor: Any, policy: _Policy) -> None:
        self._reactor = reactor
        self._policy = policy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.strip(b"[]")
        plain = HostnameEndpoint(self._reactor, host, uri.port, timeout=CONNECT_TIMEOUT)
        return wrapClientTLS(self._policy.creatorForNetloc(host, uri.port), _Guarded(plain))


@implementer(IStreamClientEndpoint)
class _Guarded:
    """Drops a connection to an address that a name must not lead to, before a request is on it."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return self._endpoint.connect(protocolFactory).addCallback(_check_peer)


def _check_peer(protocol: Any) -> Any:
    if is_forbidden_address(protocol.transport.getPeer().host):
        protocol.transport.abortConnection()
        raise Refused("the name leads to a link-local or metadata address")
    return protocol


@implementer(IAgent)
class _PlainAgent:
    """Asks for the bytes as they are, whatever treq puts on top, and takes nothing else."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: Any = None
    ) -> Deferred[IResponse]:
        plain = headers.copy() if headers is not None else Headers()
        plain.setRawHeaders(b"accept-encoding", [b"identity"])
        plain.setRawHeaders(b"user-agent", [b"kubeoidcproxy"])
        return self._agent.request(method, uri, plain, bodyProducer).addCallback(_refuse_encoded)


def _refuse_encoded(response: IResponse) -> IResponse:
    encodings = response.headers.getRawHeaders(b"content-encoding", [])
    if any(encoding.lower() != b"identity" for encoding in encodings):
        discard(response)
        raise Refused("the answer is compressed")
    return response


class _Discard(Protocol):
    """Closes a connection whose body nobody wants."""

    def connectionMade(self) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]
