"""The commands that run the tests of one part: `python data_sources/test.py` and the others."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bot_process import ROOT

COMMANDS = {
    "data_sources/test.py": "tests/data_sources",
    "core/ingestion/test_ingestion.py": "tests/core/ingestion",
    "core/nautilus_core/test_nautilus.py": "tests/core/nautilus_core",
    "core/strategy_brain/test_strategy.py": "tests/core/strategy_brain",
    "execution/test_execution.py": "tests/execution",
    "test.py": "tests",
}


def output_of(*command: object, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("script", "folder"), COMMANDS.items())
def test_each_command_runs_the_tests_of_its_part(script, folder, tmp_path):
    """From any folder, pytest gets the part's folder and the further arguments, in the project's folder."""
    (tmp_path / "pytest.py").write_text("import os, sys; print(os.getcwd(), *sys.argv[1:])")
    shown = output_of(sys.executable, ROOT / script, "-x", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert shown.split() == [str(ROOT), "-n", "auto", folder, "-x"]
    assert list((ROOT / folder).rglob("test_*.py"))


@pytest.mark.parametrize("script", COMMANDS)
def test_a_bare_clone_installs_first(script, tmp_path):
    """Without the dependencies the command and its arguments are passed to `./bot exec`."""
    for name in ("bootstrap.py", *COMMANDS, "data_sources/types.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bot").write_text('echo "$@"')
    # -S: no installed package is found.
    shown = output_of(sys.executable, "-S", tmp_path / script, "-x", folder=tmp_path)
    assert shown.split() == ["exec", script, "-x"]


@pytest.mark.parametrize("script", COMMANDS)
def test_pytest_finds_no_test_in_the_commands(script):
    """Collected by their names, they do nothing and contain no test."""
    names = runpy.run_path(str(ROOT / script), run_name="collected")
    assert [name for name in names if name.lower().startswith("test")] == []
