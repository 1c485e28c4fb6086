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
PRESSURE = Path("/proc/pressure/cpu")
"""Share of time in which a thread waited for a core (https://docs.kernel.org/accounting/psi.html); not
on every system."""
WAITING_PERCENT = 25.0
"""On two cores the benchmark of orders has 2, a run of the quick tests in three processes 23 to 52."""
LAST_CORE = 36
"""Index of the core in `/proc/<pid>/stat`, behind the name of the program: proc_pid_stat(5), field 39."""


class OneCore:
    """The cores of this process; on other systems than Linux nothing is changed.

    Parameters
    ----------
    is_busy : Callable[[], bool]
        Whether threads of this machine wait for a core: the kernel is left to distribute them then, because
        two workers could be on the same core.
    """

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._is_busy = is_busy
        self._all: set[int] | None = None
        """The cores to return to; None while no core is chosen."""

    async def follow(self, order_is_near: Callable[[], bool]) -> None:
        """Join and leave one core with the windows of orders, as long as the process runs."""
        while hasattr(os, "sched_setaffinity"):
            near = order_is_near()
            if near or self._all is not None:
                # Files are read in another thread, although those of the kernel never wait for a disk. A
                # process that may not choose its cores, or cannot know whether others wait, runs on all.
                with suppress(OSError, ValueError, IndexError):
                    await asyncio.to_thread(self._choose, near)
            await asyncio.sleep(PAUSE_S)

    def _choose(self, near: bool) -> None:
        (self.join if near and not self._is_busy() else self.leave)()

    def join(self) -> None:
        """Move all threads, and those that they create, to the core of the first thread."""
        if self._all is not None:
            return
        cores = os.sched_getaffinity(0)
        if len(cores) > 1:
            self._all = cores
            _move({_core()} & cores or {min(cores)})

    def leave(self) -> None:
        """Return to all cores that this process had before."""
        if self._all is not None:
            cores, self._all = self._all, None
            _move(cores)


def machine_is_busy() -> bool:
    """Whether threads of this machine waited for a core in the last ten seconds."""
    try:
        some = PRESSURE.read_text()
    except OSError:
        return os.getloadavg()[0] >= (os.cpu_count() or 1)
    return float(some.partition("avg10=")[2].split()[0]) > WAITING_PERCENT


def _move(cores: set[int]) -> None:
    for task in TASKS.iterdir():
        with suppress(ProcessLookupError):  # the thread has ended
            os.sched_setaffinity(int(task.name), cores)


def _core() -> int:
    """The core that ran the first thread last."""
    stat = (TASKS / str(os.getpid()) / "stat").read_text()
    return int(stat.rpartition(")")[2].split()[LAST_CORE])
