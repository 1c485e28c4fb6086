"""The packages that a process imports at its start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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
    assert not HEAVY & set(done.stdout.split())
