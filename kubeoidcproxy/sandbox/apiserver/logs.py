"""Container logs: a file, from its tail on, and with ``follow`` what is written to it later."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from kubeoidcproxy.sandbox.apiserver.exchange import Exchange

CHUNK = 64 * 1024
POLL_INTERVAL = 0.05  # what the kubelet stand-in of the real cluster does too


def tail_offset(data: bytes, lines: int) -> int:
    """Where the last so many lines begin."""
    if lines <= 0:
        return len(data)
    position = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return 0
    return position + 1


@implementer(IPushProducer)
class LogStream:
    """Writes a log file to one client."""

    def __init__(self, exchange: Exchange, clock: IReactorTime, path: Path, *, follow: bool, limit: int | None) -> None:
        self._exchange = exchange
        self._clock = clock
        self._path = path
        self._follow = follow
        self._left = limit
        self._offset = 0
        self._paused = False
        self._next: IDelayedCall | None = None

    async def run(self, tail: int | None) -> None:
        if tail is not None:
            self._offset = tail_offset(self._path.read_bytes(), tail)
        self._exchange.start_stream("text/plain")
        self._exchange.stream_from(self)
        ended = self._exchange.ended()
        self._write_on()
        await ended
        self.stopProducing()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._wait(0)

    def stopProducing(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _write_on(self) -> None:
        """Write a chunk and come back: other connections are served in between."""
        data = self._read()
        if data:
            self._exchange.write(data)
        if not data and (not self._follow or self._left == 0):
            self._exchange.end_stream()
        elif not self._paused:
            self._wait(0 if data else POLL_INTERVAL)

    def _read(self) -> bytes:
        if not self._path.exists():
            self._follow = False
            return b""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(CHUNK if self._left is None else min(CHUNK, self._left))
        self._offset += len(data)
        if self._left is not None:
            self._left -= len(data)
        return data

    def _wait(self, seconds: float) -> None:
        self.stopProducing()
        self._next = self._clock.callLater(seconds, self._write_on)
