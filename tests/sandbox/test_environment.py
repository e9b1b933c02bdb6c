"""What child processes of the sandbox are given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import kubeoidcproxy
from kubeoidcproxy.sandbox.environment import child_environment, twistd
from kubeoidcproxy.sandbox.trouble import SandboxError

HERE = str(Path(kubeoidcproxy.__file__).parents[1])


def test_children_find_this_package_first_and_what_the_user_has_in_the_path_too() -> None:
    assert child_environment({"PYTHONPATH": "/x", "HOME": "/h"}) == {"PYTHONPATH": f"{HERE}:/x", "HOME": "/h"}
    assert child_environment({}) == {"PYTHONPATH": HERE}


def test_proxies_to_the_world_outside_are_not_for_loopback() -> None:
    assert child_environment({"HTTPS_PROXY": "http://p", "http_proxy": "http://p", "NO_PROXY": "x"}) == {
        "PYTHONPATH": HERE
    }


def test_twistd_is_the_one_of_this_python() -> None:
    assert Path(twistd()[-1]) == Path(sys.executable).parent / "twistd"


def test_a_python_without_twistd_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SandboxError, match="no twistd beside"):
        twistd()
