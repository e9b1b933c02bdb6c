"""sd_notify, received as systemd would."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeoidcproxy import notify


@pytest.fixture(params=["file", "abstract"])
def supervisor(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A socket like systemd's, by either kind of name."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@kubeoidcproxy-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        receiver.setblocking(False)
        yield receiver


def test_each_message(supervisor: socket.socket) -> None:
    """One datagram each, in the words of sd_notify(3)."""
    assert notify.ready()
    assert supervisor.recv(100) == b"READY=1"
    assert notify.stopping()
    assert supervisor.recv(100) == b"STOPPING=1"
    assert notify.status("2 clusters\nREADY=1 \ud800")
    assert supervisor.recv(100) == b"STATUS=2 clusters READY=1 ?"


def test_a_reload_says_when(supervisor: socket.socket) -> None:
    """Microseconds of CLOCK_MONOTONIC, so that systemd can tell this reload from the last."""
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert notify.reloading()
    first, second = supervisor.recv(100).decode().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) / 1e6 + 1e-6 < before + 5


@pytest.mark.parametrize("address", [None, "", "relative", "vsock:1:2", "/does/not/exist", "/a" * 200, "@"])
def test_nobody_listens(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not run by systemd, or not as it should be: we go on."""
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify.ready()


def test_a_full_socket_is_not_waited_for(supervisor: socket.socket) -> None:
    """A supervisor that stands still does not stop the reactor."""
    sent = 0
    while notify.ready():
        sent += 1
        assert sent < 100_000
    assert not notify.status("still here")
