"""What a run needs: certificates, a token, the upstreams, the proxies, each in one folder and on loopback."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ISSUER = "urn:bench"


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    :param ready: seconds from its start to the first handshake.
    """

    name: str
    pid: int
    port: int
    ready: float

    def cpu(self) -> float:
        """Seconds of CPU that all its threads have run."""
        return (
            sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat")) / 1e9
        )

    def memory(self) -> float:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Rig:
    """The folder of a run.

    :param twistd: the daemon's own command, to choose the Python that it runs on.
    """

    def __init__(self, directory: Path, twistd: Path) -> None:
        self.directory = directory
        self._twistd = twistd
        self.upstream, self.streams = free_port(), free_port()
        self._make_files()
        self.token = (directory / "token").read_text()

    @contextmanager
    def upstreams(self) -> Iterator[None]:
        """nginx for requests, and a small server of ours for what nginx cannot do: watches and tunnels."""
        config = self._filled("nginx.conf", upstream=self.upstream, directory=self.directory, user=getpass.getuser())
        nginx = subprocess.Popen(["nginx", "-c", config], stderr=subprocess.DEVNULL)
        streams = subprocess.Popen([sys.executable, HERE / "streams.py", self.directory, str(self.streams)])
        try:
            wait_for_handshake(self.upstream)
            wait_for_handshake(self.streams)
            yield
        finally:
            for process in (nginx, streams):
                process.terminate()
                process.wait()

    @contextmanager
    def proxy(self, name: str, certificate: str = "ecdsa") -> Iterator[Proxy]:
        """``haproxy`` or ``kubeoidcproxy``, with a certificate of that kind."""
        port = free_port()
        command = getattr(self, f"_{name}")(port, self.directory / f"{certificate}.pem")
        with (self.directory / f"{name}.log").open("ab") as log:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for_handshake(port, log=self.directory / f"{name}.log")
            yield Proxy(name, process.pid, port, time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()

    def _haproxy(self, port: int, certificate: Path) -> list[str]:
        return ["haproxy", "-f", self._filled("haproxy.cfg", **self._common(port, certificate)), "-db"]

    def _kubeoidcproxy(self, port: int, certificate: Path) -> list[str]:
        config = self._filled(
            "kubeoidcproxy.yaml",
            kubeconfig_api=self._kubeconfig("api", self.upstream),
            kubeconfig_streams=self._kubeconfig("streams", self.streams),
            **self._common(port, certificate),
        )
        return [str(self._twistd), "-n", "--pidfile=", "kubeoidcproxy", "--config", config]

    def _common(self, port: int, certificate: Path) -> dict[str, object]:
        return {
            "port": port,
            "certificate": certificate,
            "upstream": self.upstream,
            "streams": self.streams,
            "ca": self.directory / "ca.crt",
            "public_key": self.directory / "token.pub",
            "issuer": ISSUER,
        }

    def _kubeconfig(self, name: str, port: int) -> Path:
        path = self.directory / f"{name}.kubeconfig"
        cluster = {
            "server": f"https://127.0.0.1:{port}",
            "tls-server-name": "localhost",
            "certificate-authority": "ca.crt",
        }
        content = {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": cluster}],
            "users": [{"name": "x", "user": {"token": "upstream"}}],
        }
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path

    def _filled(self, name: str, **values: object) -> str:
        text = (HERE / name).read_text()
        for key, value in values.items():
            text = text.replace("{{" + key + "}}", str(value))
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def _make_files(self) -> None:
        from material import write_material

        write_material(self.directory, ISSUER)
        api = self.directory / "www" / "api" / "v1"
        api.mkdir(parents=True)
        (self.directory / "body").mkdir()
        (api / "upload").mkdir()
        (api / "pods").write_text('{"kind":"PodList","apiVersion":"v1","items":[]}'.ljust(4096))
        (api / "list").write_text('{"kind":"PodList","apiVersion":"v1","items":[]}'.ljust(102400))
        for path in (api / "big", self.directory / "big"):
            with path.open("wb") as file:
                file.truncate(1 << 30)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for_handshake(port: int, timeout: float = 20.0, log: Path = Path("/dev/null")) -> None:
    """Until somebody speaks TLS there; ends with the log if nobody does."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + timeout
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: {error}\n{log.read_text()[-2000:]}") from None
            time.sleep(0.005)


def require_tools() -> None:
    """HAProxy, nginx and wrk, as Debian has them."""
    missing = [tool for tool in ("haproxy", "nginx", "wrk", "curl") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"bench: not installed: {' '.join(missing)} (apt-get install haproxy nginx-light wrk curl)")
