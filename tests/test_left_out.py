"""A run that leaves tests out names them in its last line."""

import os
import subprocess
import sys
from pathlib import Path

import check
from left_out import line_of

SUITE = """
import pytest
from left_out import pytest_unconfigure

@pytest.fixture
def promtool():
    pytest.skip("promtool is not installed")
"""
TESTS = """
import pytest

def test_passes(): pass
def test_one(promtool): pass
def test_other(promtool): pass
@pytest.mark.skipif(True, reason="amtool is not installed")
def test_third(): pass
"""
LINE = "3 tests left out: amtool is not installed (1), promtool is not installed (2)"


def test_the_last_line_of_pytest_names_them(tmp_path):
    """How many, and the reason of each, after pytest's own last line and in the report of `./bot check`."""
    (tmp_path / "conftest.py").write_text(SUITE)
    (tmp_path / "test_it.py").write_text(TESTS)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "LEFT_OUT_REPORT": str(tmp_path / "report"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, LINE), done.stdout + done.stderr
    assert (tmp_path / "report").read_text() == LINE + "\n"


def test_without_one_there_is_no_line():
    """A whole run ends with pytest's own line; a single test is not called tests."""
    assert line_of([]) == ""
    assert line_of(["Skipped: no pseudo-terminal"]) == "1 test left out: no pseudo-terminal (1)"


def test_the_last_line_of_the_check_names_them(capfd, monkeypatch):
    """The lines of all its steps are in the last line of `./bot check`, also if every step passed."""
    writes = ["sh", "-c", 'echo "$0" >> "$LEFT_OUT_REPORT"']
    monkeypatch.setattr(
        check, "STEPS", {"tests": [*writes, LINE], "slow-tests": [*writes, "1 test left out"]}
    )
    monkeypatch.setattr(sys, "argv", ["check.py"])
    assert check.main() == 0
    last = capfd.readouterr().out.splitlines()[-1]
    assert last == f"2 of 2 steps passed; {LINE}; 1 test left out"
