"""The processes of a bot that are forked instead of executed: which they are, and what they get."""

import subprocess
import sys
from pathlib import Path

import pytest
from bot_process import ROOT

from tests.chaos import preloaded
from tests.chaos.preloaded import forking, program_of

RUNNER = str(ROOT / "runner.py")


def test_which_programs_are_forked() -> None:
    """Runner, worker and venue; no other script or module, and no other interpreter."""
    assert program_of([sys.executable, RUNNER, "--live"]) == (RUNNER, ["--live"])
    assert program_of([sys.executable, "-m", "runtime.worker", "4"]) == ("runtime.worker", ["4"])
    assert program_of([sys.executable, "-m", "venue"]) == ("venue", [])
    assert program_of([sys.executable, "-m", "runtime.doctor"]) is None
    assert program_of([sys.executable, "other.py"]) is None
    assert program_of(["/usr/bin/python3", "-m", "venue"]) is None


def executed(*arguments: object) -> int:
    raise AssertionError("a new interpreter is started")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of the bot are forked; another interpreter is an error."""
    monkeypatch.setattr(subprocess, "_fork_exec", forking(executed))


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    "variables", [{"LD_PRELOAD": "libfaketime.so"}, {"CHAOS_STOP": "post"}, {"CHAOS_BUILD": "build.json"}]
)
def test_a_change_before_the_first_import_needs_an_interpreter(variables: dict[str, str]) -> None:
    """A shifted clock, a stop at a command and a broken build."""
    with pytest.raises(AssertionError, match="a new interpreter"):
        subprocess.Popen([sys.executable, "-m", "venue"], env=variables)


@pytest.mark.usefixtures("forked")
def test_a_live_run_or_an_open_database_needs_an_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The runner has used NautilusTrader in its preflight checks; SQLite must not be carried over a fork."""
    with open(tmp_path / "ledger.sqlite", "w"), pytest.raises(AssertionError, match="a new interpreter"):
        subprocess.Popen([sys.executable, "-m", "venue"])
    monkeypatch.setattr(preloaded.sys, "argv", [RUNNER, "--live"])
    with pytest.raises(AssertionError, match="a new interpreter"):
        subprocess.Popen([sys.executable, "-m", "venue"])


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_program_has_what_it_was_started_with(tmp_path: Path) -> None:
    """Its arguments, streams and exit code: the venue's help on its output, a usage error on its errors."""
    import venue.__main__  # noqa: F401  what `preload` does

    command = [sys.executable, "-m", "venue"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "--start-at" in shown.stdout
    assert shown.stderr == ""
    wrong = subprocess.run(
        [*command, "--path", "x"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "usage:" in wrong.stderr
