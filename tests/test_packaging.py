"""What is installed is what was built: the wheel with all it depends on, and the sdist, each in a clean environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import kubeoidcproxy

ROOT = Path(__file__).parents[1]
VERSION = f"kubeoidcproxy {kubeoidcproxy.__version__}"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, built from a copy: the build leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("build")
    sources = folder / "sources"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist"))
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", cwd=sources)
    return folder / "dist"


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_wheel_runs_in_a_clean_environment(built: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    binaries = tmp_path / "env" / "bin"
    run(binaries / "pip", "install", "--quiet", only(built, "*.whl"), cwd=tmp_path)
    assert run(binaries / "twistd", "kubeoidcproxy", "--version", cwd=tmp_path).strip() == VERSION
    assert run(binaries / "kubeoidcproxy", "--version", cwd=tmp_path).strip() == VERSION
    assert "properties" in run(binaries / "kubeoidcproxy", "schema", cwd=tmp_path)


def test_the_sdist_installs_and_twistd_finds_the_plugin(built: Path, tmp_path: Path) -> None:
    """Its dependencies are lent by this environment, which is no test of them: the wheel's is."""
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    binaries = tmp_path / "env" / "bin"
    lent = tmp_path / "env" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "lent.pth"
    import twisted

    lent.write_text(f"{Path(twisted.__file__).parents[1]}\n")
    run(binaries / "pip", "install", "--quiet", "--no-deps", only(built, "*.tar.gz"), cwd=tmp_path)
    twistd = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
    assert run(binaries / "python", "-c", twistd, "kubeoidcproxy", "--version", cwd=tmp_path).strip() == VERSION
    where = run(binaries / "python", "-c", "import kubeoidcproxy; print(kubeoidcproxy.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))


def test_the_wheel_holds_the_package_the_plugin_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(only(built, "*.whl")).namelist()
    assert "twisted/plugins/kubeoidcproxy_plugin.py" in names
    assert "kubeoidcproxy/py.typed" in names
    assert not [name for name in names if name.endswith("twisted/__init__.py") or name.startswith("tests")]
    assert {name.split("/")[0] for name in names} <= {
        "kubeoidcproxy",
        "twisted",
        f"kubeoidcproxy-{kubeoidcproxy.__version__}.dist-info",
    }


@pytest.mark.parametrize(
    "name",
    ["etc/kubeoidcproxy.yaml", "systemd/kubeoidcproxy.service", "tests/test_packaging.py", "docs/setup.md", "LICENSE"],
)
def test_the_sdist_holds_what_the_wheel_leaves_out(built: Path, name: str) -> None:
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        assert f"kubeoidcproxy-{kubeoidcproxy.__version__}/{name}" in archive.getnames()
