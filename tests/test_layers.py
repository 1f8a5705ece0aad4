"""The import rule of the packages, and the public names."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import engine

ROOT = Path(engine.__file__).parent

ROWS = (
    {"version", "errors", "values"},
    {"kraken"},
    {"rules"},
    {"store", "ownership", "transport", "stream", "config"},
    {"actors"},
    {"app", "broker"},
    {"cli", "web", "doctor", "demo", "alerts", "adapters", "cluster", "__main__"},
)
FOREIGN = {
    "requests": {"transport"}, "sqlitedict": {"store"}, "pykka": {"actors", "app"}, "websockets": {"stream"},
    "psycopg": {"cluster"}, "ray": {"cluster"}, "krakenex": {"adapters"}, "ccxt": {"adapters"}, "kraken": {"adapters"},
}  # fmt: skip
OPTIONAL = {"click", "rich", "starlette", "uvicorn", "h11", "prometheus_client", "playwright", "apprise"}
IMPURE = {"time", "random", "threading", "socket", "os", "logging", "io", "pathlib", "subprocess", "asyncio"}

MODULES = sorted(ROOT.rglob("*.py"))


def _room(path: Path) -> str:
    """The top-level room a file belongs to."""
    inside = path.relative_to(ROOT)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "engine":
                found |= {f"engine.{alias.name}" for alias in node.names}
    return found


NAMES = {".".join(("engine", *path.relative_to(ROOT).with_suffix("").parts)) for path in MODULES}


def _row(room: str) -> int:
    return next(number for number, rooms in enumerate(ROWS) if room in rooms)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_from_lower_rows(path: Path) -> None:
    room = _room(path)
    ours = {name.split(".")[1] for name in _imports(path) if name.startswith("engine.")}
    if room == "simulator":
        assert ours <= {"simulator"}, "the simulator shares no rule with what it judges"
    elif room != "__init__":
        is_face = _row(room) == len(ROWS) - 1
        allowed = {each for row in ROWS[: _row(room)] for each in row} | ({"simulator"} if is_face else set())
        same_row = ROWS[_row(room)] if _row(room) in (0, 3, 5, 6) else {room}
        assert ours - {room} <= allowed | same_row


def test_there_is_no_circle_of_modules_not_even_for_types() -> None:
    ours = {_module(path): path for path in MODULES}
    edges = {name: {each for each in _modules(path) if each in ours} for name, path in ours.items()}
    edges["engine"] = set()  # it names what it loads on demand, for type checkers
    left = dict(edges)
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    assert sorted(left) == []


@pytest.mark.parametrize("folder", ["actors", "rules"])
def test_there_is_no_circle_of_rooms(folder: str) -> None:
    edges: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        room = path.relative_to(ROOT / folder).parts[0].removesuffix(".py")
        needed = {name.split(".")[2] for name in _imports(path) if name.startswith(f"engine.{folder}.")}
        edges.setdefault(room, set()).update(needed - {room})
    while free := [room for room, needed in edges.items() if not needed & edges.keys()]:
        for room in free:
            del edges[room]
    assert edges == {}


def _modules(path: Path) -> set[str]:
    """What a file imports, where ``from engine.app import interval`` is the module and not its package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in NAMES else str(node.module) for each in inside}
    return found


def _module(path: Path) -> str:
    return ".".join(("engine", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_have_one_door(path: Path) -> None:
    room = _room(path)
    foreign = {name.split(".")[0] for name in _imports(path)}
    for library, rooms in FOREIGN.items():
        assert library not in foreign or room in rooms
    assert not foreign & OPTIONAL or room in ROWS[-1]
    if room in ("kraken", "rules"):
        assert not foreign & IMPURE, "what Kraken is and what we decide has no I/O, no clock and no chance"


@pytest.mark.parametrize("library", ["krakenex", "ccxt", "kraken_sdk"])
def test_an_adapter_needs_only_the_library_that_it_adapts(library: str) -> None:
    others = {"krakenex": "krakenex", "ccxt": "ccxt", "kraken_sdk": "kraken"}
    code = (
        f"import sys; sys.modules |= dict.fromkeys({sorted(({*others.values()} - {others[library]}) | OPTIONAL)!r}); "
        f"import warnings; warnings.simplefilter('ignore'); import engine.adapters.{library}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_all_names_exactly_the_public_names() -> None:
    """What is declared for type checkers, what is loaded on demand and what `__all__` lists are the same names."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    for_checkers = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(engine.__all__) == sorted(for_checkers)
    for name, room in for_checkers.items():
        assert getattr(engine, name) is getattr(importlib.import_module(str(room)), name)
    assert set(engine.__all__) <= set(dir(engine))
    with pytest.raises(AttributeError, match="no attribute"):
        _ = engine.Nothing


def test_modules_are_there_without_an_import_of_their_own() -> None:
    code = "import engine; engine.errors.CallError; engine.simulator.Simulator; print(hasattr(engine, 'nothing'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, timeout=60, check=False
    )
    assert done.stdout.strip() == "False", done.stderr


def test_every_error_of_the_contract_is_there() -> None:
    errors = importlib.import_module("engine.errors")
    drawn = errors.__doc__ or ""
    classes = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {name for name in classes if name not in drawn} == set(), "the tree at the top of the file is complete"


def test_importing_the_engine_loads_nothing_optional() -> None:
    code = (
        "import sys, engine; "
        f"loaded = sorted(set(sys.modules) & {OPTIONAL | {'engine.simulator', 'hypothesis', 'pytest'}!r}); "
        "print(loaded); sys.exit(bool(loaded))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
