"""Lines are appended whole; what fails is counted."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kubeoidcproxy.lines import LineFile

complaints: list[str] = []


def opened(path: Path | str) -> LineFile:
    file = LineFile(str(path), complaints.append)
    file.open()
    return file


def test_lines_are_appended(tmp_path: Path) -> None:
    """What was there stays, and nobody beyond the group may read it."""
    path = tmp_path / "access.log"
    for text in (b"one\n", b"two\n"):
        file = opened(path)
        file.write(text)
        file.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_an_open_mode_is_narrowed(tmp_path: Path) -> None:
    """logrotate's `create 0666` does not widen who may read."""
    path = tmp_path / "access.log"
    path.touch()
    path.chmod(0o666)
    opened(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_reopen_follows_the_name(tmp_path: Path) -> None:
    """logrotate moved the file away."""
    path = tmp_path / "access.log"
    file = opened(path)
    file.write(b"one\n")
    path.rename(tmp_path / "access.log.1")
    file.reopen()
    file.write(b"two\n")
    file.close()
    assert (tmp_path / "access.log.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"


def test_a_failed_reopen_keeps_the_old_file(tmp_path: Path) -> None:
    """Better a line in the wrong file than none."""
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "access.log"
    file = opened(path)
    folder.rename(tmp_path / "moved")
    file.reopen()
    file.write(b"one\n")
    assert (tmp_path / "moved" / "access.log").read_bytes() == b"one\n"
    assert file.lost == 0


def test_standard_output_is_descriptor_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not sys.stdout, which is Twisted's log in a daemon; and it is never closed."""
    written: list[tuple[int, bytes]] = []
    monkeypatch.setattr(
        os, "write", lambda descriptor, octets: written.append((descriptor, bytes(octets))) or len(octets)
    )
    monkeypatch.setattr(os, "close", lambda descriptor: pytest.fail("closed"))
    file = opened("-")
    file.write(b"one\ntwo\n")
    file.reopen()
    file.close()
    assert written == [(1, b"one\ntwo\n")]


def test_short_writes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe may take a part of what it is offered."""
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda descriptor, octets: written.append(bytes(octets[:3])) or len(written[-1]))
    opened("-").write(b"one\ntwo\n")
    assert b"".join(written) == b"one\ntwo\n"


def test_a_full_disk_is_counted_and_tears_no_later_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that was written in part is lost; the next begins on a line of its own."""
    room, written = [6], bytearray()

    def write(descriptor: int, octets: memoryview) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken = bytes(octets[: room[0]])
        room[0] -= len(taken)
        written.extend(taken)
        return len(taken)

    monkeypatch.setattr(os, "write", write)
    file = opened("-")
    file.write(b"one\ntwo\nthree\n")
    assert file.lost == 2
    file.write(b"four\n")
    assert file.lost == 3
    room[0] = 100
    file.write(b"five\n")
    assert (file.lost, bytes(written)) == (3, b"one\ntw\nfive\n")


def test_a_nonblocking_descriptor_is_waited_for(tmp_path: Path) -> None:
    """Others share our standard output, and one of them may have made it non-blocking."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = opened(fifo)
    os.set_blocking(file._descriptor, False)
    os.set_blocking(reader, True)
    lines = [b"x" * 99_999 + b"\n"] * 2
    thread = threading.Thread(target=file.write, args=(b"".join(lines),))
    thread.start()
    received = 0
    while received < 200_000:
        received += len(os.read(reader, 65_536))
    thread.join()
    assert (received, file.lost) == (200_000, 0)
    os.close(reader)
