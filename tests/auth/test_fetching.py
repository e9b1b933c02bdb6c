"""One HTTPS answer, from servers on loopback that do what servers should not."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol

from kubeoidcproxy.auth.fetching import Answer, FetchFailed, https_fetch
from kubeoidcproxy.auth.https import Refused, _check_peer
from kubeoidcproxy.sandbox.pki import CertificateAuthority

AUTHORITY = CertificateAuthority()
Script = Callable[[Protocol], None]


class Scripted(Protocol):
    """Plays its script at the first byte of a request; keeps what it read."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def dataReceived(self, data: bytes) -> None:
        first, self.server.received = not self.server.received, self.server.received + data
        if first:
            self.server.script(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.server.lost = True


class Server(Factory):
    def __init__(self) -> None:
        self.script: Script = lambda _: None
        self.received = b""
        self.lost = False
        self.port: IListeningPort | None = None

    def buildProtocol(self, addr: Any) -> Protocol:
        return Scripted(self)

    async def listen(self, *names: str, options: Any = None) -> None:
        context = options or AUTHORITY.server(*names).server_options()
        endpoint = SSL4ServerEndpoint(reactor, 0, context, interface="127.0.0.1")
        self.port = await endpoint.listen(self)
        self.number = self.port.getHost().port

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.number}/keys"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    if server.port is not None:
        pytest_twisted.blockon(server.port.stopListening())


@pytest.fixture
def listening(server: Server) -> Server:
    pytest_twisted.blockon(Deferred.fromCoroutine(server.listen("127.0.0.1")))
    return server


def says(*parts: bytes, close: bool = True) -> Script:
    def script(protocol: Protocol) -> None:
        for part in parts:
            protocol.transport.write(part)
        if close:
            protocol.transport.loseConnection()

    return script


def fetch(server: Server, seconds: float = 5.0, **options: Any) -> Deferred[Answer]:
    get = https_fetch(reactor, AUTHORITY.pem, **options)
    return get(server.url, {"Accept": "application/json"}).addTimeout(seconds, reactor)


async def error_of(answer: Deferred[Answer]) -> str:
    with pytest.raises(FetchFailed) as caught:
        await answer
    return str(caught.value)


@pytest_twisted.ensureDeferred
async def test_an_answer(listening: Server) -> None:
    """Status, headers in lower case, body; asked for as it is, on a connection of its own."""
    listening.script = says(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 2\r\n\r\n{}')
    answer = await fetch(listening)
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"{}", '"1"')
    request = listening.received.lower()
    assert b"accept-encoding: identity\r\n" in request
    assert b"gzip" not in request
    assert b"accept: application/json\r\n" in request


@pytest_twisted.ensureDeferred
async def test_redirects_are_answers(listening: Server) -> None:
    """O08 O09: a redirect is handed back, not followed."""
    listening.script = says(b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n")
    assert (await fetch(listening)).status == 302


@pytest_twisted.ensureDeferred
async def test_endless_body(listening: Server) -> None:
    """O20: reading stops at the limit, and the connection is closed."""
    listening.script = says(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 64, close=False)
    assert "too long" in await error_of(fetch(listening))
    await task.deferLater(reactor, 0.05)
    assert listening.lost


@pytest_twisted.ensureDeferred
async def test_announced_body(listening: Server) -> None:
    """A body that is announced too long is not read at all."""
    listening.script = says(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", close=False)
    assert "104857600 bytes" in await error_of(fetch(listening))


@pytest_twisted.ensureDeferred
async def test_the_limit_itself(listening: Server) -> None:
    """As many bytes as are accepted are accepted."""
    listening.script = says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100)
    assert len((await fetch(listening, max_body=100)).body) == 100
    listening.received = b""
    assert "too long" in await error_of(fetch(listening, max_body=99))


@pytest_twisted.ensureDeferred
async def test_compressed(listening: Server) -> None:
    """A bomb of gzip is not unpacked."""
    bomb = gzip.compress(b"0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    listening.script = says(head, bomb, close=False)
    assert "compressed" in await error_of(fetch(listening))


@pytest_twisted.ensureDeferred
async def test_cut_off(listening: Server) -> None:
    """An answer shorter than announced is no answer."""
    listening.script = says(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"keys":')
    assert "broke off" in await error_of(fetch(listening))


@pytest_twisted.ensureDeferred
async def test_a_drip_is_cancelled(listening: Server) -> None:
    """O04: whoever waits can stop waiting, whatever trickles in, and the connection goes with it."""

    def drip(protocol: Protocol) -> None:
        protocol.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        task.LoopingCall(protocol.transport.write, b"x").start(0.02)

    listening.script = drip
    with pytest.raises(TimeoutError):
        await fetch(listening, seconds=0.2)
    await task.deferLater(reactor, 0.1)
    assert listening.lost


@pytest_twisted.ensureDeferred
async def test_silence_is_cancelled(listening: Server) -> None:
    """O03: likewise before the head of the answer."""
    with pytest.raises(TimeoutError):
        await fetch(listening, seconds=0.2)
    await task.deferLater(reactor, 0.05)
    assert listening.lost


@pytest_twisted.ensureDeferred
async def test_another_name(server: Server) -> None:
    """A certificate for another name is refused before anything is asked."""
    await server.listen("other.example.test")
    await error_of(fetch(server))
    assert server.received == b""


class OldTLS:
    """A server's context factory that speaks TLS 1.1 and nothing newer."""

    def __init__(self) -> None:
        pair = AUTHORITY.server("127.0.0.1")
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.context.set_min_proto_version(SSL.TLS1_1_VERSION)
        self.context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self.context.use_certificate(x509.load_pem_x509_certificate(pair.certificate))
        self.context.use_privatekey(load_pem_private_key(pair.key, None))

    def getContext(self) -> SSL.Context:
        return self.context


def version_spoken(server: SSL.Context, lowest: int) -> str:
    """What a client that takes this version and newer ones agrees on with the server; "" for nothing."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_min_proto_version(lowest)
    ends = SSL.Connection(context), SSL.Connection(server)
    ends[0].set_connect_state()
    ends[1].set_accept_state()
    for _ in range(4):
        for here, there in (ends, ends[::-1]):
            try:
                here.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error:
                return ""
            with contextlib.suppress(SSL.WantReadError):
                there.bio_write(here.bio_read(65536))
    return ends[0].get_protocol_version_name()


@pytest_twisted.ensureDeferred
async def test_old_tls(server: Server) -> None:
    """O23: TLS 1.2 at least. (The server is sound: a client that takes TLS 1.1 reaches it.)"""
    old = OldTLS()
    assert version_spoken(old.context, SSL.TLS1_1_VERSION) == "TLSv1.1"
    assert version_spoken(old.context, SSL.TLS1_2_VERSION) == ""
    await server.listen(options=old)
    await error_of(fetch(server))
    assert server.received == b""


@pytest_twisted.ensureDeferred
async def test_nobody_there(server: Server) -> None:
    """The error names the address and what happened."""
    await server.listen("127.0.0.1")
    port, server.port = server.port, None
    await port.stopListening()
    text = await error_of(fetch(server))
    assert server.url in text
    assert "refused" in text


@pytest_twisted.ensureDeferred
async def test_plain_http() -> None:
    """Nothing is ever asked in the clear."""
    assert "not https" in await error_of(https_fetch(reactor)("http://127.0.0.1/", {}))


@pytest_twisted.ensureDeferred
async def test_nothing_is_asked_next_door(listening: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """O15: the address is judged before the request is on the connection."""
    monkeypatch.setattr("kubeoidcproxy.auth.https.is_forbidden_address", lambda host: host == "127.0.0.1")
    assert "link-local" in await error_of(fetch(listening))
    assert listening.received == b""


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "fd00:ec2::254"])
def test_a_name_that_leads_next_door(address: str) -> None:
    """O15: where a name resolved to counts, too."""

    class Transport:
        aborted = False

        def getPeer(self) -> Any:
            return type("Peer", (), {"host": address})

        def abortConnection(self) -> None:
            self.aborted = True

    protocol = type("Connected", (), {"transport": Transport()})
    with pytest.raises(Refused):
        _check_peer(protocol)
    assert protocol.transport.aborted
