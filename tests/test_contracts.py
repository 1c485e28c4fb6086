"""Who may know whom, for the modules at the top, which import-linter does not see."""

import ast

import pytest

from config import ROOT

ALLOWED = {
    "models": set(),
    "errors": set(),
    "config": {"models", "errors"},
    "bootstrap": set(),
    "files": {"errors"},
    "venue_process": {"config", "errors"},
    "supervisor": {"config", "errors"},
}
OURS = {path.stem for path in ROOT.glob("*.py")} | {
    path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"
}


@pytest.mark.parametrize("module", sorted(ALLOWED))
def test_a_top_module_knows_only_whom_it_may(module):
    """A module at the top imports no other room of the project than its contract names."""
    tree = ast.parse((ROOT / f"{module}.py").read_text())
    known = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known.add(node.module.split(".")[0])
    assert known & OURS <= ALLOWED[module]
