"""The real daemon, started by twistd in a folder of its own, in front of three recording upstreams."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import yaml
from certificates import Authority
from whole import client
from whole.client import Client
from whole.tokens import AUDIENCE, Issuer
from whole.upstream import PATIENCE, RecordingUpstream

ROOT = Path(__file__).resolve().parents[2]
TWISTD = Path(sys.executable).with_name("twistd")

DOMAIN = "k8s.example.test"
A, B = f"a.{DOMAIN}", f"b.{DOMAIN}"
FRONT = "proxy.example.test"  # belongs to no cluster: paths choose there
OWN_TOKEN = "the-credential-of-the-proxy-itself"

Config = dict[str, Any]


class Output:
    """What a process writes to one of its streams, line by line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text = bytearray()
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._text.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def size(self) -> int:
        """To look only at what comes later."""
        return len(self._text)

    def find(self, pattern: str, *, since: int = 0) -> re.Match[str] | None:
        return re.search(pattern, self._text[since:].decode(errors="replace"), re.MULTILINE)

    def wait_for(self, pattern: str, *, since: int = 0, seconds: float = PATIENCE) -> re.Match[str]:
        """Until a line matches."""
        deadline = time.monotonic() + seconds
        with self._grown:
            while (match := self.find(pattern, since=since)) is None:
                left = deadline - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    raise AssertionError(f"no line {pattern!r} in:\n{self.text}")
                self._grown.wait(min(left, 0.5))
        return match

    def to_the_end(self) -> str:
        """All of it, once the process is gone."""
        self._thread.join(PATIENCE)
        return self.text

    def _collect(self) -> None:
        while data := self._stream.read1(65536):  # type: ignore[attr-defined]
            with self._grown:
                self._text += data
                self._grown.notify_all()


# As systemd starts a service with a socket: descriptor 3, in a process that knows its own number (sd_listen_fds(3)).
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="https")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Daemon:
    """``twistd -n --pidfile= kubeoidcproxy --config FILE`` as a process of its own.

    :param listener: passed to it as systemd would, with the name "https".
    """

    def __init__(self, config_file: Path, *options: str, listener: socket.socket | None = None) -> None:
        command = [str(TWISTD), "-n", "--pidfile=", "kubeoidcproxy", "--config", str(config_file), *options]
        passed = [] if listener is None else [listener.fileno()]
        if passed:
            command = [sys.executable, "-c", ACTIVATE, *map(str, passed), *command]
        environment = {k: v for k, v in os.environ.items() if k.lower() not in ("https_proxy", "http_proxy")}
        self.process = subprocess.Popen(
            command,
            cwd=config_file.parent,
            env=environment | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=passed,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout = Output(self.process.stdout)
        self.stderr = Output(self.process.stderr)
        self.address = ("127.0.0.1", 0)
        self.admin = ("127.0.0.1", 0)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.stdout.text + self.stderr.text

    def await_listening(self) -> Daemon:
        """Until it says where."""
        try:
            self.address = _address(self.stdout.wait_for(r"(?<!admin )listening on (\S+):(\d+)"))
            self.admin = _address(self.stdout.wait_for(r"admin listening on (\S+):(\d+)"))
        except AssertionError as error:
            self.process.kill()
            raise AssertionError(f"{error}\nstderr:\n{self.stderr.to_the_end()}") from None
        return self

    def resident(self) -> int:
        """Bytes of memory that it has now (VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def get(self, path: str) -> tuple[int, str]:
        """Ask the admin listener."""
        connection = http.client.HTTPConnection(*self.admin, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """End it as systemd would; it must end with 0."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.exit_code()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {PATIENCE} s of SIGTERM:\n{self.output}") from None
        assert code == 0, f"exit code {code}:\n{self.output}"

    def kill(self) -> None:
        """For a test that has failed."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)


def _address(match: re.Match[str]) -> tuple[str, int]:
    return match[1], int(match[2])


@cache
def people() -> Issuer:
    """Whose tokens have no uid."""
    return Issuer("urn:people")


@cache
def numbered() -> Issuer:
    """Whose tokens have a uid."""
    return Issuer("urn:people-with-uid")


class ProxiedClusters:
    """The proxy, and the clusters a, b and c behind it (c by path only).

    :param limits: of the configuration; short times for tests that wait for them.
    """

    def __init__(self, folder: Path, *, limits: Config | None = None, access_log: str = "text") -> None:
        self.folder = folder
        self.authority = Authority("clients trust this")
        self._upstream_authority = Authority("the proxy trusts this")
        self.upstreams = {name: RecordingUpstream(self._upstream_authority) for name in "abc"}
        self.config_file = folder / "kubeoidcproxy.yaml"
        self.config = self._configuration(limits or {}, access_log)
        self.write_config()
        self.daemon: Daemon

    def write_config(self) -> None:
        self.config_file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def start(self, listener: socket.socket | None = None) -> ProxiedClusters:
        self.daemon = Daemon(self.config_file, listener=listener).await_listening()
        return self

    def stop(self) -> None:
        """All of it; the daemon must end with 0."""
        try:
            self.daemon.stop()
        finally:
            for upstream in self.upstreams.values():
                upstream.stop()

    def connect(self, server_name: str | None = A, *, alpn: tuple[str, ...] = ("http/1.1",)) -> Client:
        """A client's connection."""
        return Client(self.daemon.address, client.context(self.authority.pem, alpn=alpn), server_name)

    def _configuration(self, limits: Config, access_log: str) -> Config:
        for stem, names in (("front", (FRONT, "127.0.0.1")), ("a", (A,)), ("wild", (f"*.{DOMAIN}",))):
            self.authority.issue(*names).write(self.folder, stem)
        for issuer in (people(), numbered()):
            (self.folder / f"{issuer.name[4:]}.pem").write_text(issuer.public_key_pem)
        for name, upstream in self.upstreams.items():
            write_kubeconfig(self.folder / f"{name}.kubeconfig", upstream)
        pairs = [{"certFile": f"{stem}.crt", "keyFile": f"{stem}.key"} for stem in ("front", "a", "wild")]
        return {
            "listen": [{"address": "127.0.0.1:0"}],
            "tls": {"certificates": pairs},
            "admin": {"address": "127.0.0.1:0"},
            "authentication": {"staticIssuers": [trusted(people()), trusted(numbered(), uid={"claim": "uid"})]},
            "clusters": [
                {"name": "a", "serverNames": [A], "kubeconfig": "a.kubeconfig", "responseTimeout": "2s"},
                {"name": "b", "serverNames": [B], "kubeconfig": "b.kubeconfig"},
                {"name": "c", "kubeconfig": "c.kubeconfig"},
            ],
            "audit": {"accessLog": {"path": "-", "format": access_log}},
            "limits": {"drainTimeout": "2s"} | limits,
        }


def trusted(issuer: Issuer, **mappings: Config) -> Config:
    """The entry of ``staticIssuers``."""
    username, groups = {"claim": "sub", "prefix": ""}, {"claim": "groups", "prefix": ""}
    return {
        "issuer": issuer.name,
        "audiences": [AUDIENCE],
        "publicKeyFile": f"{issuer.name[4:]}.pem",
        "claimMappings": {"username": username, "groups": groups} | mappings,
    }


def write_kubeconfig(path: Path, upstream: RecordingUpstream) -> None:
    ca_file = path.with_suffix(".ca")
    ca_file.write_text(upstream.authority.pem)
    server = {"server": f"https://127.0.0.1:{upstream.port}", "certificate-authority": ca_file.name}
    write_private(path, kubeconfig(server))


def kubeconfig(server: Mapping[str, str]) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "upstream", "cluster": dict(server)}],
            "users": [{"name": "proxy", "user": {"token": OWN_TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "upstream", "user": "proxy"}}],
        }
    )


def write_private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)
