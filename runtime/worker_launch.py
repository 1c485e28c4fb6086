"""Starts the process of a worker, which imports its modules and then waits for its plan.

Standard library only: the runner starts the first worker before its own imports, so that both processes
import at the same time.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
WORKER = (sys.executable, "-m", "runtime.worker")
INHERITS = os.name == "posix"
"""Whether a child process can inherit another pipe than its standard streams; without it, no heartbeat."""
MALLOC = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "131072"}
"""Settings of glibc. Two heaps, one for the thread of the event loop and one for all others: by default a
worker uses sixteen and more, and each grows to the largest need of its threads. And no large block in a heap,
where it would leave a gap: by default a heap has blocks of up to 32 MB."""
TOKIO = {"TOKIO_WORKER_THREADS": "1"}
"""Settings of Nautilus' native runtime. One thread for its connections and timers, which check their state a
hundred times per second: by default there is one per core, and each wakes the others."""
WITHOUT_WORKER = ("--help", "--doctor", "--show-config", "--new-config", "--notify-test", "--live")
"""Options of a run without a worker, or with one that is started after the operator has armed the run."""


class LaunchedWorker:
    """The process of a worker and its pipes.

    Parameters
    ----------
    command : sequence of str
    """

    def __init__(self, command: Sequence[str] = WORKER) -> None:
        self.heartbeats, sending = os.pipe()
        """Descriptor of the reading end of its heartbeats, which does not block."""
        os.set_blocking(self.heartbeats, False)
        try:
            # In a session of its own, so that Ctrl-C reaches it only through the supervisor, and once.
            self.process = subprocess.Popen(
                [*command, str(sending)] if INHERITS else [*command],
                cwd=ROOT,
                env=MALLOC | TOKIO | os.environ,
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
                pass_fds=(sending,) if INHERITS else (),
            )
        finally:
            os.close(sending)

    @property
    def pipes(self) -> list[IO[str]]:
        return [pipe for pipe in (self.process.stdin, self.process.stderr) if pipe is not None]

    def abandon(self) -> None:
        """End a worker that has no plan, and so has not begun anything."""
        self.process.kill()
        self.process.wait()
        for pipe in self.pipes:
            pipe.close()
        os.close(self.heartbeats)


class WorkerLauncher:
    """Starts the workers of a run.

    Parameters
    ----------
    command : sequence of str
        Command that starts a worker.
    """

    def __init__(self, command: Sequence[str] = WORKER) -> None:
        self._command = command
        self._ahead: LaunchedWorker | None = None

    def launch_ahead(self) -> None:
        """Start the process that the next `launch` returns."""
        self._ahead = LaunchedWorker(self._command)

    def launch(self) -> LaunchedWorker:
        """The process of the next worker."""
        ahead, self._ahead = self._ahead, None
        return ahead or LaunchedWorker(self._command)

    def close(self) -> None:
        """End a process that was started ahead and is not needed."""
        if self._ahead is not None:
            self._ahead.abandon()
            self._ahead = None


def needs_worker(arguments: Sequence[str]) -> bool:
    """Whether a command line of the runner starts a worker at once; options may be abbreviated."""
    return not any(
        option.startswith(argument)
        for argument in (argument.partition("=")[0] for argument in arguments)
        for option in (*WITHOUT_WORKER, "-h")
        if len(argument) > 1 and argument.startswith("-") and argument != "--"
    )
