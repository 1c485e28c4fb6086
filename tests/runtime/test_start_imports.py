"""The packages that a process imports at its start."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONNECTED = {"httpx"}
"""Packages that a runner needs for Polymarket, for the chat or behind a proxy: 5 MB of its memory."""
UNUSED = {"apprise", "redis"}
"""Packages of features that most runs do not use: notifications, and a mode store in Redis."""
HEAVY = {
    "telegram",
    "nautilus_trader",
    "pandas",
    "numpy",
    "scipy",
    "py_clob_client_v2",
    "eth_account",
    "websockets",
}
"""Packages that only a worker, a doctor or a venue needs; Nautilus alone takes 1.5 s of CPU."""


@pytest.mark.parametrize("module", ["runner", "redis_control", "view_paper_trades", "book_result"])
def test_commands_load_nothing_that_only_a_worker_needs(module: str) -> None:
    """The supervisor starts and stops quickly on a loaded machine because it never imports Nautilus."""
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not (HEAVY | UNUSED | CONNECTED) & set(done.stdout.split())


def at_import(node: ast.AST) -> set[str]:
    """The dotted names that a module imports when it is imported: not those inside its functions."""
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            names |= {child.module, *(f"{child.module}.{alias.name}" for alias in child.names)}
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            names |= at_import(child)
    return names


def files_of(name: str) -> set[Path]:
    """The project's files that an import of a dotted name executes."""
    parts = name.split(".")
    packages = {ROOT.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)}
    return {path for path in (*packages, ROOT.joinpath(*parts).with_suffix(".py")) if path.is_file()}


def packages_at_start(module: str) -> set[str]:
    """Top-level names that a module imports, directly or through other modules of the project.

    Read from the sources: importing a worker takes seconds.
    """
    names: set[str] = set()
    waiting, seen = files_of(module), set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for name in at_import(ast.parse(path.read_text())):
            names.add(name.partition(".")[0])
            waiting |= files_of(name) - seen
    return names


def test_a_worker_loads_nothing_that_its_run_does_not_use() -> None:
    """Neither Apprise without a NOTIFY_URL, nor the client of Redis without a Redis, nor the chat."""
    found = packages_at_start("runtime.worker.__main__")
    assert {"nautilus_trader", "py_clob_client_v2", "runtime", "patches"} <= found
    assert not found & (UNUSED | {"telegram", "polymarket", "pandas", "pyarrow"})


def test_the_search_finds_an_import_of_a_module_that_is_imported() -> None:
    """Notifications import Apprise when they are used, and so does the check of their setting."""
    assert "apprise" in packages_at_start("monitoring.notifications")
    assert "apprise" in packages_at_start("runtime.notification_check")


def imported(command: list[str], tmp_path: Path, line: bytes = b"") -> set[str]:
    """The modules that a command imports until it ends; `line` is the first one of its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", *command],
        cwd=ROOT,
        env={**os.environ, "STATE_DIR": str(tmp_path), "LOG_DIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    with process, process.stdin as pipe:
        pipe.write(line)
        pipe.flush()
        shown = process.stderr.read().decode()
    return set(re.findall(r"^import time: .*\| +(\S+)$", shown, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "line", "needed"),
    [
        (["runner.py", "--help"], b"", {"pydantic", "rich.console"}),
        # It imports everything before it finds that this is no plan.
        (["-m", "runtime.worker"], b"{}\n", {"httpx", "nautilus_trader.model.tick_scheme"}),
    ],
)
def test_a_start_leaves_out_what_libraries_import_for_others(
    command: list[str], line: bytes, needed: set[str], tmp_path: Path
) -> None:
    """Neither the command of httpx with its packages, nor the prices of a Japanese index."""
    found = imported(command, tmp_path, line)
    assert needed <= found
    unused = {"click", "pygments", "nautilus_trader.model.tick_scheme.implementations.tiered"}
    assert found & unused == set()
