"""What is measured. Each case loads one proxy and returns figures; smaller is better in every one that has a ratio."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rig import Proxy, Rig

WATCHES = 2000
ECHOED = 128 << 20
BLOCK = 64 << 10


@dataclass(frozen=True)
class Figures:
    """:param cost: what is compared; :param unit: of it."""

    cost: float
    unit: str
    beside: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """:param measure: (rig, proxy) to figures."""

    name: str
    measure: Callable[[Rig, Proxy], Figures]
    certificate: str = "ecdsa"


def requests(path: str, *, close: bool = False, seconds: int = 4) -> Callable[[Rig, Proxy], Figures]:
    """wrk with 16 connections: CPU for a request."""

    def measure(rig: Rig, proxy: Proxy) -> Figures:
        script = rig.directory / "wrk.lua"
        script.write_text(
            f'wrk.headers["Authorization"] = "Bearer {rig.token}"\n'
            'wrk.headers["Accept"] = "application/json"\n'
            'wrk.headers["User-Agent"] = "kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0"\n'
            + ('wrk.headers["Connection"] = "close"\n' if close else "")
        )
        url = f"https://localhost:{proxy.port}{path}"
        wrk = ["wrk", "-t1", "-c16", "--latency", "-s", str(script)]
        subprocess.run([*wrk, "-d1", url], check=True, capture_output=True)
        before = proxy.cpu()
        output = subprocess.run([*wrk, f"-d{seconds}", url], check=True, capture_output=True, text=True).stdout
        cpu = proxy.cpu() - before
        if "Non-2xx" in output or "Socket errors" in output:
            raise SystemExit(f"bench: {proxy.name} answered with errors:\n{output}")
        count = int(found(r"(\d+) requests in", output))
        beside = {
            "req/s": f"{count / seconds:.0f}",
            "p50": found(r"\n +50% +(\S+)", output),
            "p99": found(r"\n +99% +(\S+)", output),
        }
        return Figures(cpu / count * 1e6, "us/request", beside)

    return measure


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def transfer(*arguments: str) -> Callable[[Rig, Proxy], Figures]:
    """curl: CPU for 1 GiB."""

    def measure(rig: Rig, proxy: Proxy) -> Figures:
        filled = [argument.replace("DIRECTORY", str(rig.directory)) for argument in arguments]
        url = f"https://localhost:{proxy.port}{filled[0]}"
        before, began = proxy.cpu(), time.perf_counter()
        command = ["curl", "-sSf", "--http1.1", "--cacert", str(rig.directory / "ca.crt"), "-o", "/dev/null"]
        subprocess.run([*command, "-H", f"Authorization: Bearer {rig.token}", *filled[1:], url], check=True)
        seconds = time.perf_counter() - began
        return Figures(proxy.cpu() - before, "s/GiB", {"MB/s": f"{1074 / seconds:.0f}"})

    return measure


def head(rig: Rig, path: str, extra: str = "") -> bytes:
    return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {rig.token}\r\n{extra}\r\n").encode()


async def connected(rig: Rig, proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cafile=str(rig.directory / "ca.crt"))
    return await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context, server_hostname="localhost")


def tunnel(rig: Rig, proxy: Proxy) -> Figures:
    """An upgrade whose bytes come back: CPU for 1 GiB each way."""

    async def echo() -> float:
        reader, writer = await connected(rig, proxy)
        writer.write(head(rig, "/streams/exec", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"))
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        before = proxy.cpu()

        async def send() -> None:
            for _ in range(ECHOED // BLOCK):
                writer.write(bytes(BLOCK))
                await writer.drain()

        sending = asyncio.create_task(send())
        left = ECHOED
        while left:
            left -= len(await reader.read(262144))
        await sending
        spent = proxy.cpu() - before
        writer.close()
        return spent

    return Figures(asyncio.run(echo()) * ((1 << 30) / ECHOED), "s/GiB both ways")


def watches(rig: Rig, proxy: Proxy) -> Figures:
    """Held watches: memory for each."""

    async def hold() -> float:
        before = proxy.memory()
        request = head(rig, "/streams/api/v1/pods?watch=true")
        writers = []
        for _ in range(WATCHES // 50):
            group = await asyncio.gather(*(connected(rig, proxy) for _ in range(50)))
            for reader, writer in group:
                writer.write(request)
                writers.append(writer)
                await reader.readuntil(b"}\r\n")
        await asyncio.sleep(1)
        held = proxy.memory() - before
        for writer in writers:
            writer.transport.abort()
        return held / WATCHES

    return Figures(asyncio.run(hold()) / 1000, "kB/watch")


def start(rig: Rig, proxy: Proxy) -> Figures:
    """From the start of the process to the first handshake."""
    return Figures(proxy.ready, "s")


CASES = (
    Case("keep-alive 4 KB", requests("/api/v1/pods")),
    Case("keep-alive 100 KB list", requests("/api/v1/list")),
    Case("new connection, ECDSA", requests("/api/v1/pods", close=True)),
    Case("new connection, RSA", requests("/api/v1/pods", close=True), "rsa"),
    Case("1 GiB down", transfer("/api/v1/big")),
    Case("1 GiB up", transfer("/api/v1/upload/big", "-T", "DIRECTORY/big")),
    Case("tunnel echo", tunnel),
    Case("idle watch", watches),
    Case("start to ready", start),
)


def by_name(words: list[str]) -> list[Case]:
    """Cases whose name holds one of the words; all without words."""
    return [case for case in CASES if not words or any(word in case.name for word in words)]


def clean(directory: Path) -> None:
    """What an upload left."""
    for path in (directory / "www" / "api" / "v1" / "upload").iterdir():
        path.unlink()
