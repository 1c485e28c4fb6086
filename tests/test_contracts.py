"""The import layers over every module; import-linter sees the packages only."""

import ast
from pathlib import Path

import pytest

from config import ROOT

LAYERS = (
    {"tools"},
    {"runner"},
    {"runtime"},
    {"bot", "view_paper_trades", "redis_control"},
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
    "benchmarks": None,  # measures whatever it likes
    "tests": None,
}
EXCEPTIONS = {
    ("bot.py", "runner"),  # `python bot.py` is the same as `python runner.py`
    ("core/nautilus_core/data_engine/node.py", "patches"),  # the node is assembled from the patched clients
}
OURS = set().union(*LAYERS) | set(ALONE)


def level(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imported(source: str) -> set[str]:
    """The project's own top-level modules that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names & OURS


def forbidden(path: Path, source: str) -> set[str]:
    """What a module imports and may not."""
    name = path.parts[0].removesuffix(".py")
    found = imported(source) - {name} - {what for where, what in EXCEPTIONS if where == path.as_posix()}
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
    """A new module or package beside the others has to be placed."""
    there = {path.stem for path in ROOT.glob("*.py")} | {
        path.parent.name for path in ROOT.glob("*/__init__.py")
    }
    assert there - OURS == set()


def test_no_module_imports_a_layer_above_its_own():
    """The layers hold for each module of the project."""
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
