"""A file, or descriptor 1, that whole lines are appended to. Everything here may block, and belongs into a thread."""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress

from twisted.logger import Logger

STDOUT = "-"


class LineFile:
    """Failures to write are counted in ``lost``, and told once until it works again.

    :param path: of the file; ``-`` is file descriptor 1 itself.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._torn = False  # a line was written in part: the next one starts a line of its own
        self._failing = False
        self.lost = 0

    def open(self) -> None:
        self._descriptor = 1 if self._path == STDOUT else _opened(self._path)

    def reopen(self) -> None:
        """Keep the old file where the new one cannot be opened: better a line in the wrong file than none."""
        before = self._descriptor
        try:
            self.open()
        except OSError as error:
            self._log.error("access log not reopened: {error}", error=str(error))
            return
        if before not in (1, -1):
            os.close(before)
        self._torn = False

    def close(self) -> None:
        if self._descriptor not in (1, -1):
            os.close(self._descriptor)
        self._descriptor = -1

    def write(self, lines: list[bytes]) -> None:
        octets = memoryview((b"\n" if self._torn else b"") + b"".join(lines))
        written = 0
        try:
            while written < len(octets):
                written += self._write_some(octets[written:])
        except OSError as error:
            self.lost += len(lines) - bytes(octets[:written]).lstrip(b"\n").count(b"\n")
            if written:
                self._torn = octets[written - 1] != ord("\n")
            if not self._failing:
                self._log.error("access log not written: {error}", error=str(error))
            self._failing = True
        else:
            self._torn = self._failing = False

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
