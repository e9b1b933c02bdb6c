"""Other people's TLS at the other end: Go, the openssl command, curl. The standard library's is in the other files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_twisted
from certificates import Authority
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from kubeoidcproxy.tls import seam
from kubeoidcproxy.tls.certificates import parse_pair
from kubeoidcproxy.tls.client import ClientTLS
from kubeoidcproxy.tls.errors import VerificationFailed
from kubeoidcproxy.tls.server import ServerContexts

NAME = "prod.example.com"
AUTHORITY = Authority()
ISSUED = AUTHORITY.issue(NAME)
SOURCES = Path(__file__).parent / "go"
BIG = bytes(range(256)) * 8192  # 2 MiB

versions = pytest.mark.parametrize("version", ["1.2", "1.3"])
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl command")


class Echo(Protocol):
    """Gives back what it gets; what looks like HTTP is answered so, in one direction or the other with 2 MiB."""

    def __init__(self, name: str | None) -> None:
        self._missing = 0

    def dataReceived(self, data: bytes) -> None:
        if data.startswith(b"GET "):
            self.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BIG)
            self.transport.loseConnection()
        elif data.startswith(b"POST "):
            self._missing = len(BIG)
            self._take(data.partition(b"\r\n\r\n")[2])
        elif self._missing:
            self._take(data)
        else:
            self.transport.write(data)

    def _take(self, data: bytes) -> None:
        self._missing -= len(data)
        if not self._missing:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nall.")


@dataclass
class Serving:
    port: int
    ca: Path


@pytest_twisted.async_yield_fixture
async def serving(implementation: str, tmp_path: Path) -> AsyncIterator[Serving]:
    pair = parse_pair(ISSUED.cert_pem.encode(), ISSUED.key_pem.encode(), cert_source="c", key_source="k")
    factory = seam.server_factory(ServerContexts([pair]), Echo, handshake_timeout=10, clock=reactor)
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    ca = tmp_path / "ca.pem"
    ca.write_text(AUTHORITY.pem)
    yield Serving(listening.getHost().port, ca)
    await listening.stopListening()


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("there is no go command")
    program = tmp_path_factory.mktemp("go") / "tlsecho"
    alone = os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "."], cwd=SOURCES, env=alone, check=True)
    return program


async def run(*command: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Another program, while we serve it."""

    def wait() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(list(map(str, command)), input=given, capture_output=True, timeout=60)

    return await deferToThread(wait)


@versions
@pytest_twisted.ensureDeferred
async def test_a_go_client(serving: Serving, go: Path, version: str) -> None:
    """crypto/tls begins with small records, and ends its side with close_notify alone: we end ours then."""
    done = await run(go, "client", f"127.0.0.1:{serving.port}", serving.ca, version)
    assert (done.stdout, done.stderr) == (b"2098769\n", b"")


@needs_curl
@versions
@pytest_twisted.ensureDeferred
async def test_curl(serving: Serving, version: str) -> None:
    url = f"https://{NAME}:{serving.port}/"
    curl = ["curl", "-sS", "--noproxy", "*", "--cacert", serving.ca, "--resolve", f"{NAME}:{serving.port}:127.0.0.1"]
    curl += [f"--tlsv{version}", "--tls-max", version]
    down = await run(*curl, url)
    assert (down.stdout == BIG, down.stderr) == (True, b"")
    up = await run(*curl, "-H", "Expect:", "--data-binary", "@-", url, given=BIG)
    assert (up.stdout, up.stderr) == (b"all.", b"")


class Typing:
    """s_client, fed like a person types: it takes K for a key update and R for a renegotiation, at a line's start."""

    def __init__(self, serving: Serving, version: str) -> None:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{serving.port}", "-servername", NAME, "-brief"]
        command += ["-CAfile", str(serving.ca), "-verify_return_error", f"-tls{version.replace('.', '_')}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def say(self, line: bytes, answer: bytes) -> None:
        """A line, and what is seen for it at last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        seen = b""
        while answer not in seen:
            more = self._process.stdout.readline()
            assert more, f"{answer!r} is not in {seen!r}"
            seen += more

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@needs_openssl
@pytest.mark.parametrize(
    ("version", "command", "seen"),
    [("1.3", b"k", b"KEYUPDATE"), ("1.3", b"K", b"KEYUPDATE"), ("1.2", b"R", b"no renegotiation")],
)
@pytest_twisted.ensureDeferred
async def test_openssl_s_client(serving: Serving, version: str, command: bytes, seen: bytes) -> None:
    def talk() -> None:
        client = Typing(serving, version)
        try:
            client.say(b"first", b"first")
            client.say(command, seen)
            if version == "1.3":
                client.say(b"second", b"second")
        finally:
            client.end()

    await deferToThread(talk)


class Questions(Protocol):
    """Sends 2 MiB, and hears how it ends."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.all: Deferred[None] = Deferred()
        self.lost: Deferred[type[BaseException]] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(b"?")
        self.transport.write(BIG[1:])

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if len(self.received) == len(BIG):
            self.all.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback(reason.type)


class GoServer:
    """Go as the API server, for one connection."""

    def __init__(self, program: Path, folder: Path, version: str) -> None:
        command = [program, "server", *ISSUED.write(folder), version]
        self._process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    async def told(self) -> str:
        """How much it was sent, and how that ended."""
        output, _ = await deferToThread(self._process.communicate)
        return str(output.decode().strip())


@versions
@pytest_twisted.ensureDeferred
async def test_a_go_server(implementation: str, go: Path, tmp_path: Path, version: str) -> None:
    server = GoServer(go, tmp_path, version)
    tls = ClientTLS(ca_pem=AUTHORITY.pem, server_name=NAME)
    asked = await seam.connect(reactor, "127.0.0.1", server.port, tls, Questions, timeout=10)
    await asked.all
    asked.transport.loseConnection()
    await asked.lost
    assert asked.received == b"?" + BIG[1:]
    assert await server.told() == f"{len(BIG)} <nil>"


@versions
@pytest_twisted.ensureDeferred
async def test_a_go_server_with_a_certificate_for_another_name_is_sent_nothing(
    implementation: str, go: Path, tmp_path: Path, version: str
) -> None:
    server = GoServer(go, tmp_path, version)
    tls = ClientTLS(ca_pem=AUTHORITY.pem, server_name="staging.example.com")
    with pytest.raises(VerificationFailed):
        await seam.connect(reactor, "127.0.0.1", server.port, tls, Questions, timeout=10)
    assert (await server.told()).startswith("0 ")
