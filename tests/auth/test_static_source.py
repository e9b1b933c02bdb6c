"""Keys from a file that is written while we read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from auth.jwt_gen import cert, jwk
from twisted.internet.defer import Deferred, maybeDeferred

from kubeoidcproxy.auth.static_source import StaticKeySource
from kubeoidcproxy.auth.trust import KeptIn


class Watched:
    def __init__(self, file: Path, form: str = "certificates") -> None:
        self.file = file
        self.changes = 0
        self.source = StaticKeySource(
            KeptIn("urn:pipeline", file, form), on_change=self.changed, in_thread=maybeDeferred
        )  # type: ignore[arg-type]

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path / "pipeline.crt")
    watched.file.write_bytes(cert("rsa1")[0])
    watched.source.start()
    return watched


def test_read_at_start(watched: Watched) -> None:
    assert watched.source.state() == (True, "1 keys from a file")
    assert watched.changes == 1
    assert not watched.source.failing


def test_reload(watched: Watched) -> None:
    """A change is told once, and none is told where the keys are the same."""
    watched.file.write_bytes(b"# touched\n" + cert("rsa1")[0])
    watched.source.reload()
    assert watched.changes == 1
    watched.file.write_bytes(cert("rsa1")[0] + cert("other1")[0])
    watched.source.reload()
    assert watched.changes == 2


@pytest.mark.parametrize("content", [b"", cert("rsa1")[0][:200], cert("rsa1")[0] + b"-----BEGIN CERT", None])
def test_a_faulty_file_changes_nothing(watched: Watched, content: bytes | None) -> None:
    before = watched.source.keys()
    if content is None:
        watched.file.unlink()
    else:
        watched.file.write_bytes(content)
    watched.source.reload()
    assert watched.changes == 1
    assert watched.source.keys() is before
    ready, text = watched.source.state()
    assert ready
    assert "the file is faulty" in text


def test_no_file_at_start(tmp_path: Path) -> None:
    """No keys, until there is a file."""
    watched = Watched(tmp_path / "keys.json", "JWKS")
    watched.source.start()
    assert watched.source.keys() is None
    assert watched.source.failing
    watched.file.write_text(json.dumps({"keys": [jwk("rsa1")]}))
    watched.source.refresh()
    keys = watched.source.keys()
    assert keys is not None
    assert keys.binds_kid


def test_law_7_a_reload_reads_in_a_thread(tmp_path: Path) -> None:
    asked: list[object] = []

    def in_thread(read: object, origin: object) -> Deferred[object]:
        asked.append(origin)
        return Deferred()

    origin = KeptIn("urn:pipeline", tmp_path / "none", "JWKS")
    source = StaticKeySource(origin, on_change=lambda: None, in_thread=in_thread)  # type: ignore[arg-type]
    source.reload()
    assert asked == [origin]
    assert source.state() == (False, "no keys")
