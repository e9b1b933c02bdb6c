"""The house stands as it was drawn: layers, and who may know whom. Read from the imports, not from a list of files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kubeoidcproxy"

# Only edges may speak to the world.
EDGE_LIBRARIES = {"twisted", "treq", "OpenSSL", "service_identity", "prometheus_client", "kubernetes"}

# From the bottom. A module may import its own room, and rooms of the layers below.
WIRE = {"http1"}
VALUES = {"errors", "identity", "requestinfo", "exchange", "interfaces", "config", "lines"}
# Their parts without edge libraries.
DECISIONS = {"routing", "limits", "auth", "impersonation", "audit", "relay", "clusters"}
WIRING = {"service", "daemon", "fleet", "prepared"}
ENTRY = {"tap", "cli", "sandbox"}
LAYERS = {"wire": 0, "values": 1, "decisions": 2, "edges": 3, "wiring": 4, "entry": 5}

# The one module that may import a library (law 5).
ONLY_IN = {"jose": {"auth.jws"}}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(path: Path) -> set[str]:
    """Everything imported at run time, whole dotted names; what only a type checker sees does not count."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def ours(path: Path) -> set[str]:
    """Modules of this package that a module imports, without the package's name."""
    names = {name.removeprefix("kubeoidcproxy.") for name in imports(path) if name.startswith("kubeoidcproxy.")}
    return {name for name in names if name in MODULES}


def libraries(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def room(module: str) -> str:
    return module.partition(".")[0]


def is_edge(module: str) -> bool:
    """A module is an edge if it imports an edge library, or an edge of its own room."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        if libraries(MODULES[current]) & EDGE_LIBRARIES:
            return True
        todo += [name for name in ours(MODULES[current]) if room(name) == room(module)]
    return False


def layer(module: str) -> str:
    name = room(module)
    if name in WIRE:
        return "wire"
    if name in VALUES:
        return "values"
    if name in WIRING:
        return "wiring"
    if name in ENTRY:
        return "entry"
    return "decisions" if name in DECISIONS and not is_edge(module) else "edges"


@pytest.mark.parametrize("module", sorted(filter(None, MODULES)))
def test_a_module_imports_from_its_own_room_or_from_below(module: str) -> None:
    for other in ours(MODULES[module]):
        if room(other) == room(module):
            continue
        mine, its = layer(module), layer(other)
        allowed = LAYERS[its] < LAYERS[mine] or (mine in ("values", "wiring", "entry") and its == mine)
        assert allowed, f"{module} ({mine}) imports {other} ({its})"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name and layer(name) in ("wire", "values")))
def test_wire_and_values_know_no_edge_library(module: str) -> None:
    assert not libraries(MODULES[module]) & EDGE_LIBRARIES


@pytest.mark.parametrize("module", sorted(name for name in MODULES if room(name) in WIRE))
def test_the_wire_knows_the_standard_library_only(module: str) -> None:
    import sys

    foreign = libraries(MODULES[module]) - set(sys.stdlib_module_names) - {"kubeoidcproxy"}
    assert not foreign
    assert all(room(other) in WIRE for other in ours(MODULES[module]))


@pytest.mark.parametrize(("library", "where"), sorted(ONLY_IN.items()))
def test_a_guarded_library_is_imported_in_one_module(library: str, where: set[str]) -> None:
    assert {name for name, path in MODULES.items() if library in libraries(path)} == where


def test_the_reactor_is_imported_by_entries_only() -> None:
    importers = {name for name, path in MODULES.items() if "twisted.internet.reactor" in imports(path)}
    assert {room(name) for name in importers} <= ENTRY


def test_the_composition_root_is_imported_by_entries_only() -> None:
    importers = {name for name, path in MODULES.items() if "service" in ours(path)}
    assert {room(name) for name in importers} <= ENTRY


def test_nothing_the_daemon_imports_brings_the_kubernetes_package() -> None:
    """It costs 130 ms and 17 MiB."""
    assert not any("kubernetes" in libraries(path) for name, path in MODULES.items() if layer(name) != "entry")


def test_packages_hold_a_map_and_nothing_else() -> None:
    """Re-exports through __init__ breed cycles."""
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        rest = body[1:] if path.parent != PACKAGE else [n for n in body[1:] if not isinstance(n, ast.Assign)]
        assert isinstance(body[0], ast.Expr), path
        assert not rest, path


def test_every_package_is_installed() -> None:
    text = (ROOT / "setup.cfg").read_text()
    block = text.split("packages =\n", 1)[1].split("\ninstall_requires", 1)[0]
    listed = set(block.split()) - {"twisted.plugins"}
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert listed == found
