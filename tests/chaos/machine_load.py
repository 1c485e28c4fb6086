"""How long the processes of a bot waited for a processor: Linux counts it for each thread."""

from pathlib import Path


def waited_ns(pid: int) -> int:
    """Nanoseconds in which the main thread of a process could run, and did not; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


class ProcessorWait:
    """The wait of a bot's processes from a moment on.

    Each role (worker, supervisor, venue) is counted alone, over all processes that had it, and the longest
    counts: the others may have waited at the same time.
    """

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        self._newest: dict[int, tuple[str, int]] = {}

    def begin(self, processes: dict[str, int]) -> None:
        """Count from now on; a process that is not there yet counts from its start."""
        self._since = {pid: waited_ns(pid) for pid in processes.values()}
        self._newest = {}

    def read(self, processes: dict[str, int]) -> None:
        """Read the present processes by their role; one that ends later keeps what was read last."""
        for role, pid in processes.items():
            if waited := waited_ns(pid):
                self._newest[pid] = role, waited - self._since.get(pid, 0)

    @property
    def seconds(self) -> float:
        by_role: dict[str, int] = {}
        for role, waited in self._newest.values():
            by_role[role] = by_role.get(role, 0) + waited
        return max(by_role.values(), default=0) / 1e9
