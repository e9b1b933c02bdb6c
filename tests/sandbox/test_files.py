"""The sandbox's folder: whom it belongs to, and what may be thrown away in it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from kubeoidcproxy.sandbox.files import MARK, occupied, write_private, write_yaml
from kubeoidcproxy.sandbox.trouble import SandboxError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_temporary_folder_is_gone_at_the_end() -> None:
    with occupied(None) as files:
        assert mode(files.directory) == 0o700
        write_private(files.secrets / "password", "x")
    assert not files.directory.exists()


def test_a_given_folder_is_made_and_stays(tmp_path: Path) -> None:
    with occupied(tmp_path / "a" / "b") as files:
        write_private(files.kubeconfig, "x")
    assert mode(tmp_path / "a" / "b") == 0o700
    assert files.kubeconfig.read_text() == "x"


def test_what_an_earlier_sandbox_left_is_thrown_away(tmp_path: Path) -> None:
    with occupied(tmp_path) as files:
        write_private(files.record, "{}")
        write_private(files.clusters / "old", "x")
    with occupied(tmp_path) as files:
        assert not files.record.exists()
        assert list(files.clusters.iterdir()) == []


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    """Only the link itself is thrown away."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").touch()
    with occupied(tmp_path / "sandbox") as files:
        (files.directory / "link").symlink_to(outside)
    with occupied(tmp_path / "sandbox") as files:
        assert not (files.directory / "link").exists()
    assert (outside / "mine").exists()


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(SandboxError, match="is not empty"), occupied(tmp_path):
        pass
    assert (tmp_path / "mine").exists()
    assert not (tmp_path / MARK).exists()


def test_two_do_not_share_a_folder(tmp_path: Path) -> None:
    with occupied(tmp_path), pytest.raises(SandboxError, match="another sandbox runs in"), occupied(tmp_path):
        pass


def test_what_is_written_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of before")
    file.chmod(0o644)
    assert write_private(file, "new").read_text() == "new"
    assert mode(file) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["password"]


def test_yaml_keeps_the_order_and_takes_paths(tmp_path: Path) -> None:
    document = {"z": tmp_path, "a": ["1", 2, {"k": None}]}
    text = write_yaml(tmp_path / "f.yaml", document).read_text()
    assert text.startswith("z:")
    assert yaml.safe_load(text) == {"z": str(tmp_path), "a": ["1", 2, {"k": None}]}
