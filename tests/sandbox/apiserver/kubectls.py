"""Real kubectl binaries, and a stand-in in a process of its own for them to talk to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

FOLDERS = "KUBEOIDCPROXY_KUBECTL_PATH"  # more places to look in, separated as in PATH
_TIMEOUT = 60

# Runs until its standard input ends, so that it cannot outlive the tests.
_SERVER = """
import sys
from pathlib import Path
from twisted.internet import reactor, ssl, stdio
from twisted.internet.protocol import Protocol
from kubeoidcproxy.sandbox.apiserver.server import ApiServer
from kubeoidcproxy.sandbox.apiserver.users import User

class UntilInputEnds(Protocol):
    def connectionLost(self, reason):
        reactor.stop()

folder = Path(sys.argv[1])
users = {"admin-token": User("admin", groups=("system:masters",)), "eve-token": User("eve")}
server = ApiServer(reactor, "test", users, [], folder / "pods", folder / "audit.log")
context = ssl.DefaultOpenSSLContextFactory(str(folder / "server.key"), str(folder / "server.crt"))
server.listen(reactor, context).addCallback(lambda port: print(port.getHost().port, flush=True))
stdio.StandardIO(UntilInputEnds())
reactor.run()
"""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One binary, told by its version, and the kubeconfig to use."""

    path: str
    version: tuple[int, int]
    kubeconfig: Path | None = None

    def command(self, *arguments: str) -> list[str]:
        return [self.path, f"--kubeconfig={self.kubeconfig}", *arguments]

    def environment(self) -> dict[str, str]:
        assert self.kubeconfig is not None
        return {"HOME": str(self.kubeconfig.parent), "PATH": os.environ["PATH"]}  # HOME: its discovery cache

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, env=self.environment(), timeout=_TIMEOUT
        )

    def ok(self, *arguments: str, stdin: bytes = b"") -> str:
        """What a command that has to work prints."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment()
        )


def found_kubectls() -> list[Kubectl]:
    """Each version once, the oldest first."""
    folders = os.environ.get("PATH", "").split(os.pathsep) + os.environ.get(FOLDERS, "").split(os.pathsep)
    named = [path for folder in folders if folder for path in sorted(Path(folder).glob("kubectl*"))]
    binaries = [path for path in named if re.fullmatch(r"kubectl(\.1\.\d+)?", path.name) and os.access(path, os.X_OK)]
    by_version = {version: Kubectl(str(path), version) for path in binaries if (version := _version(path))}
    return [by_version[version] for version in sorted(by_version)]


def _version(path: Path) -> tuple[int, int] | None:
    asked = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, timeout=_TIMEOUT)
    try:
        version = json.loads(asked.stdout)["clientVersion"]
    except (ValueError, KeyError):
        return None
    return int(version["major"]), int(version["minor"].rstrip("+"))


@contextmanager
def running_server(folder: Path) -> Iterator[Path]:
    """Start the stand-in; gives the kubeconfig of its admin."""
    _write_certificate(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_root()
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield _write_kubeconfig(folder, int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(_TIMEOUT)


def _root() -> Path:
    return Path(__file__).parents[3]


def _write_certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (folder / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write_kubeconfig(folder: Path, port: int) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(folder / "server.crt")}
    users = [{"name": name, "user": {"token": f"{name}-token"}} for name in ("admin", "eve")]
    contexts = [{"name": name, "context": {"cluster": "c", "user": name}} for name in ("admin", "eve")]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": users,
        "contexts": contexts,
        "current-context": "admin",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
