"""A connection to an API server, played by the standard library's TLS server on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_twisted
from certificates import Authority, Issued, self_signed
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from kubeoidcproxy.tls import seam
from kubeoidcproxy.tls.certificates import CertificatePair, parse_pair
from kubeoidcproxy.tls.client import ClientTLS
from kubeoidcproxy.tls.errors import (
    ConnectFailed,
    ConnectRefused,
    ConnectTimeout,
    UpstreamConnectError,
    VerificationFailed,
)

pytestmark = pytest.mark.usefixtures("implementation")

AUTHORITY = Authority()
STRANGER = Authority("a stranger")
BY_NAME = AUTHORITY.issue("localhost", "api.example.com", "*.wild.example.com")
BY_ADDRESS = AUTHORITY.issue("127.0.0.1", "::1")


@dataclass
class ApiServer:
    """Accepts one connection, and records what became of it."""

    certificate: Issued
    folder: Path
    client_authority: Authority | None = None
    answer: bytes = b"welcome"
    version: ssl.TLSVersion | None = None
    received: bytes = b""
    sni: list[str | None] = field(default_factory=list)
    alpn: str | None = None
    client_subject: object = None
    problem: str = ""

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            plain, _ = self.listener.accept()
            plain.settimeout(20)
            with plain:
                self._serve(plain)
        except OSError as error:
            self.problem = str(error)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate.write(self.folder, "server"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda connection, name, context: self.sni.append(name)
        if self.version is not None:
            context.minimum_version = context.maximum_version = self.version
        if self.version == ssl.TLSVersion.TLSv1_1:
            context.set_ciphers("ALL:@SECLEVEL=0")
        if self.client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.client_authority.pem)
        return context

    def _serve(self, plain: socket.socket) -> None:
        with self._context().wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as tls:
            tls.do_handshake()
            self.alpn = tls.selected_alpn_protocol()
            self.client_subject = (tls.getpeercert() or {}).get("subject")
            tls.sendall(self.answer)
            while chunk := tls.recv(4096):
                self.received += chunk

    async def over(self) -> None:
        """The end of its one connection."""
        await deferToThread(self.thread.join, 20)
        assert not self.thread.is_alive()


class Inner(Protocol):
    def __init__(self) -> None:
        self.made = False
        self.received = b""
        self.enough: Deferred[None] = Deferred()
        self.lost: Deferred[Failure] = Deferred()

    def connectionMade(self) -> None:
        self.made = True
        self.transport.write(b"from connectionMade")

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if not self.enough.called:
            self.enough.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback(reason.type)


Start = Callable[..., ApiServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[ApiServer] = []

    def new(certificate: Issued, **options: object) -> ApiServer:
        servers.append(ApiServer(certificate, tmp_path, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield new
    for server in servers:
        server.listener.close()


def pair(issued: Issued) -> CertificatePair:
    return parse_pair(issued.cert_pem.encode(), issued.key_pem.encode(), cert_source="c", key_source="k")


def trusting(name: str, ca: str | None = AUTHORITY.pem, certificate: CertificatePair | None = None) -> ClientTLS:
    return ClientTLS(ca_pem=ca, server_name=name, certificate=certificate)


def connect(port: int, tls: ClientTLS, host: str = "127.0.0.1", timeout: float = 20) -> Deferred[Inner]:
    return seam.connect(reactor, host, port, tls, Inner, timeout=timeout)


async def failure(attempt: Deferred[Inner]) -> UpstreamConnectError:
    with pytest.raises(UpstreamConnectError) as caught:
        await attempt
    return caught.value


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("certificate", "name", "sni"),
    [
        (BY_NAME, "api.example.com", "api.example.com"),
        (BY_NAME, "API.Example.com.", "api.example.com"),
        (BY_NAME, "a.wild.example.com", "a.wild.example.com"),
        (BY_ADDRESS, "127.0.0.1", None),
        (BY_ADDRESS, "0:0::1", None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_verified_server(
    start: Start, certificate: Issued, name: str, sni: str | None, version: ssl.TLSVersion
) -> None:
    server = start(certificate, version=version)
    inner = await connect(server.port, trusting(name))
    assert inner.made
    await inner.enough
    inner.transport.loseConnection()
    await inner.lost
    await server.over()
    assert (server.received, inner.received) == (b"from connectionMade", b"welcome")
    assert (server.sni, server.alpn) == ([sni], "http/1.1")


@pytest_twisted.ensureDeferred
async def test_a_host_name_is_looked_up(start: Start) -> None:
    server = start(BY_NAME)
    inner = await connect(server.port, trusting("localhost"), host="localhost")
    assert inner.transport.getPeer().port == server.port
    inner.transport.loseConnection()
    await inner.lost


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("certificate", "name", "detail"),
    [
        (BY_NAME, "other.example.com", "the certificate is not valid for other.example.com"),
        (BY_NAME, "a.b.wild.example.com", "the certificate is not valid for a.b.wild.example.com"),
        (BY_NAME, "127.0.0.1", "the certificate is not valid for 127.0.0.1"),
        (BY_ADDRESS, "api.example.com", "the certificate is not valid for api.example.com"),
        (AUTHORITY.issue("127.0.0.2"), "127.0.0.1", "the certificate is not valid for 127.0.0.1"),
        (AUTHORITY.issue(common_name="a.b"), "a.b", "the certificate's names cannot be judged: "),
        (STRANGER.issue("a.b"), "a.b", "certificate at depth 0: unable to get issuer cert locally"),
        (self_signed("a.b"), "a.b", "certificate at depth 0: depth zero self signed cert"),
        (AUTHORITY.issue("a.b", days=(-2, -1)), "a.b", "certificate at depth 0: cert has expired"),
        (AUTHORITY.issue("a.b", days=(1, 2)), "a.b", "certificate at depth 0: cert not yet valid"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_that_proves_nothing_gets_no_byte(
    start: Start, certificate: Issued, name: str, detail: str, version: ssl.TLSVersion
) -> None:
    server = start(certificate, version=version)
    problem = await failure(connect(server.port, trusting(name)))
    assert isinstance(problem, VerificationFailed)
    assert problem.detail.startswith(f"127.0.0.1:{server.port}: {detail}")
    await server.over()
    assert server.received == b""
    assert "alert" in server.problem.lower()  # the handshake itself failed


@pytest_twisted.ensureDeferred
async def test_our_certificate_is_not_shown_to_a_stranger(start: Start) -> None:
    ours = pair(AUTHORITY.issue(common_name="the proxy"))
    server = start(STRANGER.issue("api.example.com"), client_authority=AUTHORITY)
    await failure(connect(server.port, trusting("api.example.com", certificate=ours)))
    await server.over()
    assert server.client_subject is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest_twisted.ensureDeferred
async def test_our_certificate_is_shown_to_the_api_server(start: Start, version: ssl.TLSVersion) -> None:
    ours = pair(AUTHORITY.issue(common_name="the proxy"))
    server = start(BY_NAME, client_authority=AUTHORITY, version=version)
    inner = await connect(server.port, trusting("localhost", certificate=ours))
    await inner.enough
    inner.transport.loseConnection()
    await server.over()
    assert server.client_subject == ((("commonName", "the proxy"),),)
    await inner.lost


@pytest_twisted.ensureDeferred
async def test_whatever_the_ca_file_holds_is_trusted_as_it_is(start: Start) -> None:
    """As in Go: an intermediate, or the server's own certificate; kubectl users have such kubeconfigs."""
    own = self_signed("a.b")
    intermediate = Authority("intermediate", signed_by=AUTHORITY)
    for certificate, ca in [(own, own.cert_pem), (intermediate.issue("a.b"), STRANGER.pem + intermediate.pem)]:
        server = start(certificate)
        inner = await connect(server.port, trusting("a.b", ca))
        inner.transport.loseConnection()
        await inner.lost


@pytest_twisted.ensureDeferred
async def test_the_roots_of_the_system(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text(AUTHORITY.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    server = start(BY_NAME)
    inner = await connect(server.port, trusting("localhost", None))
    inner.transport.loseConnection()
    await inner.lost
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    server = start(BY_NAME)
    assert isinstance(await failure(connect(server.port, trusting("localhost", None))), VerificationFailed)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest_twisted.ensureDeferred
async def test_tls_1_1_is_refused(start: Start) -> None:
    server = start(BY_NAME, version=ssl.TLSVersion.TLSv1_1)
    problem = await failure(connect(server.port, trusting("localhost")))
    assert isinstance(problem, VerificationFailed)
    assert "protocol version" in problem.detail


class Plain:
    """A TCP server that answers the first bytes with some of its own, and closes."""

    def __init__(self, answer: bytes | None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.ended: Deferred[bytes] = deferToThread(self._run, answer)

    def _run(self, answer: bytes | None) -> bytes:
        connection, _ = self.listener.accept()
        connection.settimeout(20)
        received = b""
        with connection, contextlib.suppress(ConnectionResetError):
            received = connection.recv(65536)
            if answer is not None:
                connection.sendall(answer)
                return received
            while chunk := connection.recv(65536):
                received += chunk
        return received


@pytest_twisted.ensureDeferred
async def test_a_server_that_speaks_no_tls() -> None:
    server = Plain(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    problem = await failure(connect(server.port, trusting("localhost")))
    assert isinstance(problem, VerificationFailed)
    assert "TLS failed: " in problem.detail
    await server.ended


@pytest_twisted.ensureDeferred
async def test_a_server_that_hangs_up_in_the_handshake() -> None:
    server = Plain(b"")
    problem = await failure(connect(server.port, trusting("localhost")))
    assert type(problem) is ConnectFailed
    await server.ended


@pytest_twisted.ensureDeferred
async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    problem = await failure(connect(port, trusting("localhost")))
    assert isinstance(problem, ConnectRefused)
    assert isinstance(await failure(connect(port, trusting("localhost"), host="localhost")), ConnectRefused)
    assert problem.detail == f"127.0.0.1:{port}: connection refused"
    assert str(problem) == "the API server refused the connection"


@pytest_twisted.ensureDeferred
async def test_a_name_that_does_not_exist() -> None:
    problem = await failure(connect(443, trusting("localhost"), host="does-not-exist.invalid"))
    assert type(problem) is ConnectFailed
    assert problem.detail.startswith("does-not-exist.invalid:443: ")
    assert "invalid" not in str(problem)


@pytest_twisted.ensureDeferred
async def test_the_timeout_covers_the_handshake_and_leaves_no_socket() -> None:
    server = Plain(None)
    problem = await failure(connect(server.port, trusting("localhost"), timeout=0.5))
    assert isinstance(problem, ConnectTimeout)
    assert problem.detail == f"127.0.0.1:{server.port}: no verified connection within 0.5 s"
    assert (await server.ended)[:1] == b"\x16"  # the ClientHello, then the end


@pytest_twisted.ensureDeferred
async def test_cancelled_in_the_handshake() -> None:
    server = Plain(None)
    attempt = connect(server.port, trusting("localhost"))
    await deferLater(reactor, 0.05)
    attempt.cancel()
    with pytest.raises(CancelledError):
        await attempt
    await server.ended


class TestWhileTCPConnects:
    def test_the_timeout_covers_it(self) -> None:
        memory = MemoryReactorClock()
        outcome: list[Failure] = []
        attempt = seam.connect(memory, "192.0.2.1", 6443, trusting("a.b"), Inner, timeout=10)
        attempt.addErrback(outcome.append)
        assert memory.tcpClients[0][:2] == ("192.0.2.1", 6443)
        memory.advance(9.9)
        assert outcome == []
        memory.advance(0.2)
        assert outcome[0].type is ConnectTimeout
        assert memory.connectors[0].stoppedConnecting
        assert memory.getDelayedCalls() == []

    def test_cancelled(self) -> None:
        memory = MemoryReactorClock()
        outcome: list[Failure] = []
        attempt = seam.connect(memory, "2001:db8::1", 6443, trusting("a.b"), Inner, timeout=10)
        attempt.addErrback(outcome.append)
        attempt.cancel()
        assert outcome[0].type is CancelledError
        assert memory.connectors[0].stoppedConnecting
        assert memory.getDelayedCalls() == []


class SilentNameServer:
    def resolveHostName(self, receiver: object, name: str, portNumber: int = 0) -> None:
        pass


@pytest.mark.parametrize(("end", "expected"), [("cancel", CancelledError), ("wait", ConnectTimeout)])
def test_while_the_name_is_looked_up(end: str, expected: type[Exception]) -> None:
    memory = MemoryReactorClock()
    memory.nameResolver = SilentNameServer()
    outcome: list[Failure] = []
    attempt = seam.connect(memory, "api.example.com", 6443, trusting("a.b"), Inner, timeout=10)
    attempt.addErrback(outcome.append)
    if end == "cancel":
        attempt.cancel()
    else:
        memory.advance(10)
    assert outcome[0].type is expected
    assert memory.tcpClients == []
    assert memory.getDelayedCalls() == []


def test_a_name_of_neither_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no DNS name"):
        trusting("bücher.example")
    with pytest.raises(ValueError, match="no DNS name"):
        trusting("")
