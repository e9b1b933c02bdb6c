"""Lines of text to a file or to descriptor 1, written by a thread: the reactor's own must never wait for a reader.

:class:`LineQueue` is what a log writes into (law 7). It is bounded, and the newest lines are dropped and counted when
it is full: a log that nobody takes must not stop requests, and cannot grow without bound. :class:`LineFile` is where
its thread writes.
"""

from __future__ import annotations

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from threading import Event, Thread

STDOUT = "-"

# Characters that may wait: some 30 000 ordinary lines, a second of a busy proxy.
QUEUE_LIMIT = 8 * 1024 * 1024

# How long lines gather before they are written: a wake-up of the thread costs as much as twenty lines.
_GATHER_SECONDS = 0.02

_AT_ONCE = 4096  # lines, joined and written together

Complaint = Callable[[str], None]


class _Order(Enum):
    REOPEN = auto()


class LineQueue:
    """Lines on their way to a file.

    :param path: of a file, or ``-`` for file descriptor 1 itself (``sys.stdout`` is Twisted's own log in a daemon).
    :param complain: told, from the thread, that the file cannot be written or reopened.
    """

    def __init__(self, path: str, complain: Complaint, *, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        self._lines: deque[str | _Order] = deque()
        self._put = 0  # characters, counted by the reactor thread
        self._taken = 0  # the same, counted by the writing thread: two counters need no lock
        self._refused = 0
        self._wake = Event()
        self._closing = Event()
        self._file = LineFile(path, complain)
        self._thread = Thread(target=self._write_lines, name=f"lines to {path}", daemon=True)

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

    def append(self, line: str) -> None:
        """Write a line, without its end, some time soon. Never waits."""
        if self._put - self._taken + len(line) > self._limit:
            self._refused += 1
            return
        self._put += len(line)
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def reopen(self) -> None:
        """For logrotate: what follows goes to the file that has the name now."""
        self._lines.append(_Order.REOPEN)
        self._wake.set()

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for so many seconds at most, and stop. A line that comes later counts as dropped."""
        self._limit = -1
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

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
            lines, reopen = self._take()
            if lines:
                text = "\n".join(lines) + "\n"
                self._taken += len(text) - len(lines)
                self._file.write(text.encode("utf-8", "backslashreplace"))
            if reopen:
                self._file.reopen()

    def _take(self) -> tuple[list[str], bool]:
        """Lines up to the next order, some hundred KB of them at the most, and whether an order follows."""
        lines: list[str] = []
        queue = self._lines
        while queue and len(lines) < _AT_ONCE:
            line = queue.popleft()
            if isinstance(line, _Order):
                return lines, True
            lines.append(line)
        return lines, False


class LineFile:
    """Failures to write are counted in ``lost``, and told once until it works again.

    :param path: of the file; ``-`` is file descriptor 1 itself.
    """

    def __init__(self, path: str, complain: Complaint) -> None:
        self._path = path
        self._complain = complain
        self._descriptor = -1
        self._is_pipe = False
        self._torn = False  # a line was written in part: the next one starts a line of its own
        self._failing = False
        self.lost = 0

    def open(self) -> None:
        self._descriptor = 1 if self._path == STDOUT else _opened(self._path)
        self._is_pipe = not stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    def reopen(self) -> None:
        """Keep the old file where the new one cannot be opened: better a line in the wrong file than none."""
        before = self._descriptor
        try:
            self.open()
        except OSError as error:
            self._complain(f"not reopened: {error}")
            return
        if before not in (1, -1):
            os.close(before)
        self._torn = False

    def close(self) -> None:
        if self._descriptor not in (1, -1):
            os.close(self._descriptor)
        self._descriptor = -1

    def write(self, lines: bytes) -> None:
        """Append whole lines."""
        octets = memoryview((b"\n" if self._torn else b"") + lines)
        written = 0
        try:
            while written < len(octets):
                written += self._write_some(octets[written : self._whole_lines(octets, written)])
        except OSError as error:
            self.lost += lines.count(b"\n") - bytes(octets[:written]).lstrip(b"\n").count(b"\n")
            if written:
                self._torn = octets[written - 1] != ord("\n")
            if not self._failing:
                self._complain(f"not written: {error}")
            self._failing = True
        else:
            self._torn = self._failing = False

    def _whole_lines(self, octets: memoryview, start: int) -> int | None:
        """Where to end a write. A pipe takes this much as a whole, so that no other process cuts into a line."""
        if not self._is_pipe or len(octets) - start <= select.PIPE_BUF:
            return None
        end = bytes(octets[start : start + select.PIPE_BUF]).rfind(b"\n")
        return start + end + 1 if end >= 0 else None

    def _write_some(self, octets: memoryview) -> int:
        try:
            return os.write(self._descriptor, octets)
        except BlockingIOError:  # whoever shares our standard output has made it non-blocking for us, too
            writable = select.poll()
            writable.register(self._descriptor, select.POLLOUT)
            writable.poll()
            return 0


def _opened(path: str) -> int:
    """Append to it; nobody beyond the group may read who did what (mode 0640)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & ~0o640:
        with suppress(OSError):  # somebody else's file that we may only append to
            os.fchmod(descriptor, stat.S_IMODE(mode) & 0o640)
    return descriptor
