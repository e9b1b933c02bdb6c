"""The sink of the access log: a bounded queue, and a thread that writes.

Twisted's logger costs 18 us a line, and a write to a pipe that nobody reads blocks for ever. So the reactor thread only
appends to a queue; the thread takes what has gathered, in batches, and may block as long as it likes. When too much
waits, the newest lines are dropped and counted (:attr:`AccessLog.dropped`): a log that nobody takes must not stop
requests, and cannot grow without bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from select import PIPE_BUF
from threading import Event, Thread

from kubeoidcproxy.audit.accesslog import json_line, text_line
from kubeoidcproxy.audit.linefile import LineFile
from kubeoidcproxy.exchange import Exchange

RENDERINGS: dict[str, Callable[[Exchange], str]] = {"text": text_line, "json": json_line}

# Characters that may wait: some 30 000 ordinary lines, a second of a busy proxy.
QUEUE_LIMIT = 8 * 1024 * 1024

# How long lines gather before they are written: a wake-up of the thread costs as much as twenty lines.
_GATHER_SECONDS = 0.02


class _Order(Enum):
    REOPEN = auto()


class AccessLog:
    """Implement :class:`~kubeoidcproxy.interfaces.ExchangeObserver`: exactly one line for each request (law 11).

    A request that was answered has its line from then on. One that ended without an answer (``status`` 0) has one, too:
    text by whether somebody was authenticated, JSON with the decision as far as it had come.

    :param path: of a file, or ``-`` for file descriptor 1 itself (``sys.stdout`` is Twisted's own log in a daemon).
    :param render: one of :data:`RENDERINGS`.
    """

    def __init__(self, path: str, render: Callable[[Exchange], str], *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._render = render
        self._queue_limit = queue_limit
        self._lines: deque[str | _Order] = deque()
        self._put = 0  # characters, counted by the reactor thread
        self._taken = 0  # the same, counted by the writing thread: two counters need no lock
        self._refused = 0
        self._wake = Event()
        self._closing = Event()
        self._file = LineFile(path)
        self._thread = Thread(target=self._write_lines, name="access log", daemon=True)

    @property
    def dropped(self) -> int:
        """Lines that were lost, because too many waited or because they could not be written."""
        return self._refused + self._file.lost

    def start(self) -> None:
        """Open and begin to write. Not before the daemon has forked: a thread does not survive that.

        :raises OSError: the file cannot be opened.
        """
        self._file.open()
        self._thread.start()

    def answered(self, exchange: Exchange) -> None:
        """The head of the answer is known: this is when the line is written."""
        self._append(self._render(exchange))

    def ended(self, exchange: Exchange) -> None:
        """Only what ended without an answer has no line yet."""
        if not exchange.status:
            self._append(self._render(exchange))

    def reopen(self) -> None:
        """For logrotate: what follows goes to the file that has the name now."""
        self._lines.append(_Order.REOPEN)
        self._wake.set()

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for so many seconds at most, and stop. A line that comes later counts as dropped."""
        self._queue_limit = -1
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _append(self, line: str) -> None:
        if self._put - self._taken + len(line) > self._queue_limit:
            self._refused += 1
            return
        self._put += len(line)
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def _write_lines(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_GATHER_SECONDS)
            self._wake.clear()  # before the queue is emptied: whatever comes later wakes us again
            self._write_waiting()
        self._write_waiting()
        self._file.close()

    def _write_waiting(self) -> None:
        while self._lines:
            for batch in self._batches():
                self._file.write(batch)
            if self._lines and self._lines[0] is _Order.REOPEN:
                self._lines.popleft()
                self._file.reopen()

    def _batches(self) -> Iterator[list[bytes]]:
        """Lines up to the next order, in batches that a pipe takes as a whole, so that no other process cuts in."""
        batch: list[bytes] = []
        size = 0
        while self._lines and not isinstance(line := self._lines[0], _Order):
            self._lines.popleft()
            self._taken += len(line)
            octets = line.encode("utf-8", "backslashreplace") + b"\n"
            if batch and size + len(octets) > PIPE_BUF:
                yield batch
                batch, size = [], 0
            batch.append(octets)
            size += len(octets)
        if batch:
            yield batch
