"""The import layers over every module; import-linter sees the packages only."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT

LAYERS = (
    {"tools"},
    {"runner", "test"},
    {"runtime"},
    {
        "bot",
        "settings_mapping",
        "book_result",
        "state_backup",
        "view_paper_trades",
        "redis_control",
        "research",
    },
    {"paper_trading"},
    {"monitoring", "feedback", "patches", "control"},
    {"execution"},
    {"core"},
    {"data_sources"},
    {"config"},
    {"events"},
    {"models"},
    {"errors", "common", "bootstrap"},
)
"""From top to bottom; a module imports its own layer and the layers below it."""
ALONE = {
    "venue": set(),  # imports nothing of the bot
    "grafana": {"bootstrap", "errors", "models", "monitoring"},
    "benchmarks": None,  # may import anything
    "tests": None,
}
OURS = set().union(*LAYERS) | set(ALONE)


def level(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imported(source: str) -> set[str]:
    """The project's own top-level modules that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names & OURS


def forbidden(path: Path, source: str) -> set[str]:
    """A module's imports that are not allowed."""
    name = path.parts[0].removesuffix(".py")
    found = imported(source) - {name}
    if name in ALONE:
        allowed = ALONE[name]
        return set() if allowed is None else found - allowed
    if name == "tools":
        return set()
    return {other for other in found if other in ALONE or level(other) < level(name)}


def modules() -> list[Path]:
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    return [
        path
        for path in paths
        if not path.parts[0].startswith(".") and path.parts[0] in OURS | {p + ".py" for p in OURS}
    ]


def test_every_top_level_name_has_a_layer():
    """A new top-level module or package must be added to the layers."""
    there = {path.stem for path in ROOT.glob("*.py")} | {
        path.parent.name for path in ROOT.glob("*/__init__.py")
    }
    assert there - OURS == set()


def test_no_module_imports_a_layer_above_its_own():
    """The layers apply to each module of the project."""
    found = {
        path.as_posix(): names for path in modules() if (names := forbidden(path, (ROOT / path).read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("upper", "lower"),
    [(upper, lower) for lower in range(len(LAYERS)) for upper in range(lower)],
)
def test_a_planted_import_is_found(upper, lower):
    """An import in each forbidden direction fails the check."""
    for below in LAYERS[lower]:
        for above in LAYERS[upper]:
            assert forbidden(Path(below, "planted.py"), f"from {above} import planted") == {above}
            assert forbidden(Path(above, "planted.py"), f"from {below} import planted") == set()


@pytest.mark.parametrize("name", sorted(set().union(*LAYERS) - {"tools"}))
def test_the_practice_venue_and_the_bot_stay_apart(name):
    """Neither imports the other."""
    assert forbidden(Path("venue", "planted.py"), f"import {name}") == {name}
    assert forbidden(Path(name, "planted.py"), "import venue.clock") == {"venue"}


# --- the order lifecycle is pure -------------------------------------------------------------------

IMPURE = {
    "aiohttp",
    "asyncio",
    "datetime",
    "httpx",
    "nautilus_trader",
    "sqlite3",
    "threading",
    "time",
    "websockets",
}
LIFECYCLE = Path("execution/order_lifecycle.py")


def files_of(name: str) -> list[Path]:
    """The files that an import of a dotted name executes: every package's `__init__` and the module."""
    parts = name.split(".")
    packages = [Path(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    return [path for path in (*packages, Path(*parts).with_suffix(".py")) if (ROOT / path).is_file()]


def imported_names(source: str) -> set[str]:
    """Dotted names of all imports of a module; of `from a import b` both `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def external_imports(start: Path) -> set[str]:
    """Top-level names of all packages outside the project that a module imports, directly or not."""
    external, seen, waiting = set(), set(), [start]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported_names((ROOT / path).read_text()):
            if name.split(".")[0] in OURS:
                waiting += files_of(name)
            else:
                external.add(name.split(".")[0])
    return external


def test_the_order_lifecycle_imports_nothing_impure():
    """No module that it reaches, root modules such as events and models included, imports I/O or a clock."""
    found = external_imports(LIFECYCLE)
    assert found & IMPURE == set()
    assert "msgspec" in found, "the modules that it imports were read"


def test_an_impure_import_of_a_module_that_it_reaches_is_found():
    """The same search finds the SQLite and asyncio imports of other modules of the package."""
    assert {"asyncio", "sqlite3"} <= external_imports(Path("execution/execution_engine.py"))


@pytest.fixture
def copied(tmp_path):
    """A copy of the lifecycle's packages, with its contract as the only one."""
    for package in ("common", "execution"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    config = (ROOT / ".importlinter").read_text()
    contract = config[config.index("[importlinter:contract:pure_lifecycle]") :].split("\n\n")[0]
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_packages =\n    common\n    execution\ninclude_external_packages = True\n"
        f"\n{contract}\n"
    )
    return tmp_path


def test_the_copied_contract_holds(copied):
    """Without a planted import import-linter passes, so that a failure below has that one cause."""
    assert lint_imports(copied) == 0


@pytest.mark.parametrize(
    ("module", "impure"),
    [
        ("execution/order_lifecycle", "nautilus_trader"),
        ("execution/order_lifecycle", "httpx"),
        ("execution/outcomes", "time"),
        ("execution/amounts", "asyncio"),
        ("common/plain_text", "sqlite3"),
    ],
)
def test_a_planted_impure_import_breaks_the_contract(module, impure, copied):
    """import-linter fails if the lifecycle, or a module that it imports, gets an impure import."""
    planted = copied / f"{module}.py"
    planted.write_text(f"{planted.read_text()}\nimport {impure}\n")
    assert lint_imports(copied) == 1


def lint_imports(folder: Path) -> int:
    linter = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, check=False).returncode


def test_bot_py_is_the_same_command_as_runner_py():
    """`python bot.py` runs runner.py, with its arguments."""
    shown = subprocess.run(
        [sys.executable, ROOT / "bot.py", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "usage: python runner.py" in shown
    assert "--test-mode" in shown
