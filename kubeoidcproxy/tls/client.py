"""Our side as a client of one API server: whom we trust, what it must prove, who we are."""

from __future__ import annotations

import ipaddress
import socket

from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from service_identity import CertificateError as MalformedNames
from service_identity import VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from kubeoidcproxy.tls.certificates import CertificatePair, parse_chain
from kubeoidcproxy.tls.contexts import new_context
from kubeoidcproxy.tls.names import normalise

_CHAIN_PROBLEMS = {
    code: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, code in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


class ClientTLS:
    """How to speak TLS with one API server. Immutable; shared by all connections to it.

    :param ca_pem: the certificates to trust, or None for the roots of the system.
    :param server_name: the DNS name or IP address that the server's certificate must carry.
    :param certificate: ours, if the server is to know us by one.
    """

    def __init__(self, *, ca_pem: str | None, server_name: str, certificate: CertificatePair | None = None) -> None:
        self.address = _address(server_name)
        self.server_name = str(self.address) if self.address else normalise(server_name)
        if not self.server_name:
            raise ValueError("the server name is no DNS name and no IP address")
        self.certificate = certificate
        self._context = self._new_context(ca_pem)

    def connection(self, sock: socket.socket | None = None) -> SSL.Connection:
        """A new client-side connection, on a socket or (None) on memory BIOs."""
        connection = SSL.Connection(self._context, sock)
        if self.address is None:  # RFC 6066 §3: literal addresses are not permitted in SNI
            connection.set_tlsext_host_name(self.server_name.encode("ascii"))
        connection.set_connect_state()
        return connection

    def _new_context(self, ca_pem: str | None) -> SSL.Context:
        context = new_context("1.2")
        _trust(context, ca_pem)
        context.set_verify(SSL.VERIFY_PEER, self._verify)
        context.set_alpn_protos([b"http/1.1"])
        if self.certificate is not None:
            self.certificate.install(context)
        return context

    def _verify(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, chain_is_good: int) -> bool:
        """OpenSSL's verify callback, once for each certificate, the server's own (depth 0) last.

        The name is verified in here, so that the handshake itself fails: our certificate is not shown to a stranger,
        and no transport can forget to ask.
        """
        problem = None
        if not chain_is_good:
            problem = f"certificate at depth {depth}: {_CHAIN_PROBLEMS.get(code, f'X509 error {code}')}"
        elif depth == 0:
            problem = self._name_problem(certificate)
        if problem is not None:
            connection.set_app_data(problem)
        return problem is None

    def _name_problem(self, certificate: X509) -> str | None:
        verify = verify_certificate_hostname if self.address is None else verify_certificate_ip_address
        try:
            verify(certificate.to_cryptography(), self.server_name)
        except VerificationError:
            return f"the certificate is not valid for {self.server_name}"
        except (MalformedNames, ValueError) as error:
            return f"the certificate's names cannot be judged: {error}"
        return None


def verification_problem(connection: SSL.Connection) -> str | None:
    """What was wrong with the peer's certificate, after a handshake that failed for that."""
    problem = connection.get_app_data()
    return problem if isinstance(problem, str) else None


def _trust(context: SSL.Context, ca_pem: str | None) -> None:
    if ca_pem is None:
        context.set_default_verify_paths()
        return
    store = context.get_cert_store()
    if store is None:
        raise RuntimeError("OpenSSL gave a context without a certificate store")
    for certificate in parse_chain(ca_pem.encode(), "certificate-authority"):
        store.add_cert(X509.from_cryptography(certificate))
    # As in Go, and so for kubectl: whatever the CA file holds is trusted as it is, an intermediate or the server's
    # own certificate, too, not roots alone.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
