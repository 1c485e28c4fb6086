"""Keeps the threads of this process on one core while an order may follow soon.

Python runs one thread at a time: on several cores each step of an order waits until another core is awake,
and begins with empty caches. On a virtual machine with two cores an order is sent 0.5 ms sooner from one.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PAUSE_S = 1.0
TASKS = Path("/proc/self/task")
LAST_CORE = 36
"""Index of the core in `/proc/<pid>/stat`, behind the name of the program: proc_pid_stat(5), field 39."""


class OneCore:
    """The cores of this process; on other systems than Linux nothing is changed.

    Parameters
    ----------
    load : Callable[[], float]
        How many threads of the machine are running or waiting for a core. If they are as many as the cores,
        the kernel is left to distribute them.
    """

    def __init__(self, load: Callable[[], float] = lambda: os.getloadavg()[0]) -> None:
        self._load = load
        self._all: set[int] | None = None
        """The cores to return to; None while no core is chosen."""

    async def follow(self, order_is_near: Callable[[], bool]) -> None:
        """Join and leave one core with the windows of orders, as long as the process runs."""
        while True:
            with suppress(OSError):  # a process that may not choose its cores runs on all
                (self.join if order_is_near() else self.leave)()
            await asyncio.sleep(PAUSE_S)

    def join(self) -> None:
        """Move all threads, and those that they create, to the core of the first thread."""
        if self._all is not None or not TASKS.exists():
            return
        cores = os.sched_getaffinity(0)
        if len(cores) > 1 and self._load() < len(cores):
            self._all = cores
            _move({_core()} & cores or {min(cores)})

    def leave(self) -> None:
        """Return to all cores that this process had before."""
        if self._all is not None:
            cores, self._all = self._all, None
            _move(cores)


def _move(cores: set[int]) -> None:
    for task in TASKS.iterdir():
        with suppress(ProcessLookupError):  # the thread has ended
            os.sched_setaffinity(int(task.name), cores)


def _core() -> int:
    """The core that ran the first thread last."""
    stat = (TASKS / str(os.getpid()) / "stat").read_text()
    return int(stat.rpartition(")")[2].split()[LAST_CORE])
