"""Our side as a server, seen by the standard library's TLS client on loopback."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_twisted
from certificates import Authority, Issued
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread

from kubeoidcproxy.tls import seam, unrecognized
from kubeoidcproxy.tls.certificates import CertificatePair, parse_pair
from kubeoidcproxy.tls.server import ServerContexts

UNRECOGNIZED_NAME, NO_APPLICATION_PROTOCOL, PROTOCOL_VERSION, HANDSHAKE_FAILURE = 112, 120, 70, 40
GREETING = b"hello from inside"

AUTHORITY = Authority()
DEFAULT = AUTHORITY.issue("default.example.com", "10.1.2.3")
WILDCARD = AUTHORITY.issue("*.k8s.example.com")
EXACT = AUTHORITY.issue("prod.k8s.example.com")
LATER = AUTHORITY.issue("prod.k8s.example.com", "new.example.com")


def pair(issued: Issued) -> CertificatePair:
    return parse_pair(issued.cert_pem.encode(), issued.key_pem.encode(), cert_source="c", key_source="k")


class Greeter(Protocol):
    def __init__(self, name: str | None) -> None:
        self.name = name

    def connectionMade(self) -> None:
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(repr(self.name).encode())


@dataclass
class Server:
    contexts: ServerContexts
    port: int


async def serve(contexts: ServerContexts) -> AsyncIterator[Server]:
    factory = seam.server_factory(contexts, Greeter, handshake_timeout=10, clock=reactor)
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    yield Server(contexts, listening.getHost().port)
    await listening.stopListening()


@pytest_twisted.async_yield_fixture
async def server(implementation: str) -> AsyncIterator[Server]:
    async for each in serve(ServerContexts(list(map(pair, (DEFAULT, WILDCARD, EXACT))))):
        yield each


@pytest_twisted.async_yield_fixture
async def server_13(implementation: str) -> AsyncIterator[Server]:
    async for each in serve(ServerContexts([pair(DEFAULT)], min_version="1.3")):
        yield each


@pytest.fixture(autouse=True)
def excepthook_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[type[BaseException]]]:
    calls: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, value, traceback: calls.append(kind))
    yield calls
    assert calls == []


def client_context(*, alpn: tuple[str, ...] = (), version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=AUTHORITY.pem)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@dataclass
class Seen:
    certificate: str
    alpn: str | None
    greeting: bytes
    name: bytes
    version: str | None
    cipher: str
    session: ssl.SSLSession | None
    resumed: bool | None


def _talk(port: int, context: ssl.SSLContext, name: str | None, session: ssl.SSLSession | None) -> Seen:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as tls,
    ):
        greeting = tls.recv(100)
        tls.sendall(b"?")
        answer = tls.recv(100)
        shown = ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")
        cipher = (tls.cipher() or ("",))[0]
        alpn, version = tls.selected_alpn_protocol(), tls.version()
        session, resumed = tls.session, tls.session_reused
        tls.unwrap()  # a server forgets the session of a connection that ends without close_notify
        return Seen(shown, alpn, greeting, answer, version, cipher, session, resumed)


async def talk(
    server: Server,
    name: str | None,
    context: ssl.SSLContext | None = None,
    session: ssl.SSLSession | None = None,
) -> Seen:
    return await deferToThread(_talk, server.port, context or client_context(), name, session)


def _alert(port: int, context: ssl.SSLContext, name: str | None) -> int:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(outgoing.read())
        answer = b""
        while chunk := plain.recv(4096):
            answer += chunk
    kind, length, level = answer[0], answer[3:5], answer[5]
    assert (kind, length, level) == (21, b"\0\2", 2), answer  # one fatal alert (RFC 8446 §6), then the end
    assert len(answer) == 7
    return answer[6]


async def alert(server: Server, name: str | None, context: ssl.SSLContext | None = None) -> int:
    return await deferToThread(_alert, server.port, context or client_context(), name)


def pem(issued: Issued) -> str:
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(issued.cert_pem))


@pytest.mark.parametrize(
    ("name", "certificate", "told"),
    [
        (None, DEFAULT, "None"),
        ("default.example.com", DEFAULT, "'default.example.com'"),
        ("PROD.k8s.EXAMPLE.com", EXACT, "'prod.k8s.example.com'"),
        ("staging.K8S.example.com", WILDCARD, "'staging.k8s.example.com'"),
        ("prod.k8s.example.com.", EXACT, "'prod.k8s.example.com'"),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest_twisted.ensureDeferred
async def test_the_server_name_picks_the_certificate(
    server: Server, name: str | None, certificate: Issued, told: str, version: ssl.TLSVersion
) -> None:
    seen = await talk(server, name, client_context(version=version))
    assert (seen.certificate, seen.greeting, seen.name) == (pem(certificate), GREETING, told.encode())


@pytest.mark.parametrize("name", ["other.example.com", "k8s.example.com", "a.b.k8s.example.com", "default"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest_twisted.ensureDeferred
async def test_a_name_that_no_certificate_covers_gets_alert_112(
    server: Server, name: str, version: ssl.TLSVersion
) -> None:
    assert await alert(server, name, client_context(version=version)) == UNRECOGNIZED_NAME


@pytest_twisted.ensureDeferred
async def test_after_refusals_others_are_served(server: Server) -> None:
    for _ in range(3):
        await alert(server, "other.example.com")
        await alert(server, "prod.k8s.example.com", client_context(alpn=("h2",)))
    assert (await talk(server, "prod.k8s.example.com")).greeting == GREETING


@pytest.mark.parametrize("name", [None, "prod.k8s.example.com"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest_twisted.ensureDeferred
async def test_a_client_that_offers_only_other_protocols_gets_alert_120(
    server: Server, name: str | None, version: ssl.TLSVersion
) -> None:
    context = client_context(alpn=("h2", "spdy/3.1"), version=version)
    assert await alert(server, name, context) == NO_APPLICATION_PROTOCOL


@pytest.mark.parametrize(
    ("offered", "selected"), [((), None), (("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "http/1.1")]
)
@pytest.mark.parametrize("name", [None, "prod.k8s.example.com"])
@pytest_twisted.ensureDeferred
async def test_http_1_1_is_selected(
    server: Server, offered: tuple[str, ...], selected: str | None, name: str | None
) -> None:
    assert (await talk(server, name, client_context(alpn=offered))).alpn == selected


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest_twisted.ensureDeferred
async def test_tls_1_1_gets_alert_70(server: Server) -> None:
    context = client_context(version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert await alert(server, None, context) == PROTOCOL_VERSION


@pytest_twisted.ensureDeferred
async def test_with_min_version_1_3_tls_1_2_gets_alert_70(server_13: Server) -> None:
    assert await alert(server_13, None, client_context(version=ssl.TLSVersion.TLSv1_2)) == PROTOCOL_VERSION
    assert (await talk(server_13, None)).version == "TLSv1.3"


@pytest.mark.parametrize("suites", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
@pytest_twisted.ensureDeferred
async def test_suites_without_forward_secrecy_or_authentication_are_refused(server: Server, suites: str) -> None:
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(suites)
    assert await alert(server, None, context) == HANDSHAKE_FAILURE


@pytest_twisted.ensureDeferred
async def test_aes_128_is_preferred_and_chacha_where_the_client_puts_it_first(server: Server) -> None:
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")
    assert (await talk(server, None, context)).cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256")
    assert (await talk(server, None, context)).cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("second", [None, "prod.k8s.example.com", "staging.k8s.example.com"])
@pytest_twisted.ensureDeferred
async def test_no_session_is_resumed(server: Server, version: ssl.TLSVersion, second: str | None) -> None:
    """A resumed session would carry the name and the certificate of the first connection to the second."""
    context = client_context(version=version)
    first = await talk(server, "prod.k8s.example.com", context)
    again = await talk(server, second, context, first.session)
    assert not again.resumed
    assert again.name == repr(second).encode()


@pytest_twisted.ensureDeferred
async def test_replaced_certificates_serve_new_connections_and_old_ones_live_on(server: Server) -> None:
    def hold() -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        tls = client_context().wrap_socket(plain, server_hostname="prod.k8s.example.com")
        assert tls.recv(100) == GREETING
        return tls

    def go_on(tls: socket.socket) -> bytes:
        with tls:
            tls.sendall(b"?")
            return tls.recv(100)

    held = await deferToThread(hold)
    server.contexts.replace([pair(LATER)])
    assert (await talk(server, "prod.k8s.example.com")).certificate == pem(LATER)
    assert (await talk(server, "new.example.com")).certificate == pem(LATER)
    assert await deferToThread(go_on, held) == b"'prod.k8s.example.com'"


@pytest_twisted.ensureDeferred
async def test_a_replacement_that_fails_changes_nothing(server: Server) -> None:
    with pytest.raises(ValueError, match="at least one certificate"):
        server.contexts.replace([])
    assert (await talk(server, None)).certificate == pem(DEFAULT)


def test_a_connection_keeps_the_set_it_began_with() -> None:
    contexts = ServerContexts([pair(DEFAULT), pair(EXACT)])
    begun = contexts.connection()
    contexts.replace([pair(LATER)])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="default.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    begun.bio_write(outgoing.read())
    with pytest.raises(SSL.WantReadError):  # the old set knows the name; the new one would refuse it
        begun.do_handshake()
    incoming.write(begun.bio_read(65536))
    tls.do_handshake()
    assert tls.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(DEFAULT.cert_pem)


def test_a_replaced_set_is_forgotten() -> None:
    contexts = ServerContexts([pair(DEFAULT)])
    old = weakref.ref(contexts._serving)
    contexts.replace([pair(LATER)])
    gc.collect()
    assert old() is None


def test_renegotiation_is_refused() -> None:
    server = ServerContexts([pair(DEFAULT)]).connection()
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client = SSL.Connection(context, None)
    client.set_connect_state()

    def carry(source: SSL.Connection, sink: SSL.Connection) -> None:
        with contextlib.suppress(SSL.WantReadError):
            sink.bio_write(source.bio_read(65536))

    def step(connection: SSL.Connection, peer: SSL.Connection) -> None:
        with contextlib.suppress(SSL.WantReadError):
            connection.do_handshake()
        carry(connection, peer)

    for _ in range(2):
        step(client, server)
        step(server, client)
    client.do_handshake()
    assert client.renegotiate()
    step(client, server)
    with pytest.raises(SSL.WantReadError):
        server.recv(100)
    carry(server, client)
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.do_handshake()
    assert server.total_renegotiations() == 0


class TestExceptHook:
    def test_it_is_installed_once_and_passes_others_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[type[BaseException]] = []
        monkeypatch.setattr(sys, "excepthook", lambda kind, value, traceback: seen.append(kind))
        original = sys.excepthook
        unrecognized.silence()
        unrecognized.silence()
        sys.excepthook(unrecognized.UnrecognizedName, unrecognized.UnrecognizedName(), None)
        sys.excepthook(KeyError, KeyError(), None)
        assert seen == [KeyError]
        unrecognized.unsilence()
        assert sys.excepthook is original
        unrecognized.unsilence()
        assert sys.excepthook is original

    def test_hooks_laid_over_each_other_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[type[BaseException]] = []
        monkeypatch.setattr(sys, "excepthook", lambda kind, value, traceback: seen.append(kind))
        unrecognized.silence()
        ours = sys.excepthook
        monkeypatch.setattr(sys, "excepthook", lambda *args: ours(*args))
        unrecognized.silence()
        sys.excepthook(KeyError, KeyError(), None)
        sys.excepthook(unrecognized.UnrecognizedName, unrecognized.UnrecognizedName(), None)
        assert seen == [KeyError]
