"""The process of a worker that is started before its plan exists."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.worker_launch import WorkerLauncher, needs_worker

ROOT = Path(__file__).resolve().parents[2]


def waiting(folder: Path) -> list[str]:
    """The command of a worker that waits for its plan, and writes it down with its heaps and threads."""
    script = folder / "worker.py"
    written = folder / "plan"
    script.write_text(
        "import os, pathlib, sys\n"
        f"pathlib.Path({str(written)!r}).write_text(sys.stdin.readline() + ' '.join("
        "os.environ[name] for name in ('MALLOC_ARENA_MAX', 'TOKIO_WORKER_THREADS')))"
    )
    return [sys.executable, str(script)]


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("", True),
        ("--test-mode --markets 3", True),
        ("--venue synthetic --no-grafana --no-page", True),
        ("--live", False),
        ("--li --venue synthetic", False),
        ("--help", False),
        ("-h", False),
        ("--test-mode --doctor", False),
        ("--show-config", False),
        ("--new-config", False),
        ("--notify-test", False),
    ],
)
def test_only_a_run_that_trades_at_once_starts_a_worker(line: str, needed: bool) -> None:
    """Neither a run that only checks or prints, nor one that has to be armed first, starts one ahead."""
    assert needs_worker(line.split()) is needed


def test_the_process_started_ahead_is_the_first_worker_only(tmp_path: Path) -> None:
    """It is used once, gets the first plan, two heaps and one native thread; the next worker is another
    process."""
    launcher = WorkerLauncher(waiting(tmp_path))
    launcher.launch_ahead()
    first, second = launcher.launch(), launcher.launch()
    assert first.process.pid != second.process.pid
    first.process.communicate("the plan\n")
    assert (first.process.returncode, (tmp_path / "plan").read_text()) == (0, "the plan\n2 1")
    second.abandon()
    launcher.close()


def test_an_unused_worker_is_ended(tmp_path: Path) -> None:
    """A run that ends before its first plan leaves no process behind."""
    launcher = WorkerLauncher(waiting(tmp_path))
    launcher.launch_ahead()
    ahead = launcher._ahead
    assert ahead is not None
    launcher.close()
    assert ahead.process.returncode == -9
    assert all(pipe.closed for pipe in ahead.pipes)
    launcher.close()
    assert not (tmp_path / "plan").exists()


def test_what_runs_before_the_imports_has_none() -> None:
    """The runner starts the worker, and the worker reads its pipe, with the standard library only."""
    script = "import sys, runtime.worker_launch, runtime.worker.plan_pipe; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert imported - sys.stdlib_module_names - {"__main__"} == {"runtime"}


@pytest.mark.slow
def test_a_worker_without_a_supervisor_ends_silently() -> None:
    """If the supervisor ends before it sends a plan, the worker that waits for one ends without a message."""
    done = subprocess.run(
        [sys.executable, "-m", "runtime.worker"],
        cwd=ROOT,
        capture_output=True,
        input="",
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
