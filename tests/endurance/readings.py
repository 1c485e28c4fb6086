"""What a running bot uses, read from outside: /proc, its status file, its ledger and its logs."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from ledger_comparison import rows

PROCESSES = ("supervisor", "worker", "venue")


class Usage(msgspec.Struct, frozen=True):
    """What one process uses at an instant.

    `descriptors` is None if they cannot be listed; `unlisted` then has the error.
    """

    pid: int
    rss_bytes: int
    threads: int
    descriptors: int | None
    unlisted: str = ""


class Sample(msgspec.Struct, frozen=True):
    """One instant of a run.

    Attributes
    ----------
    market_s : float
        Market time, seconds since the epoch.
    processes : dict
        Usage by the name of the process; without those that do not run.
    tasks : int, optional
        Tasks of the worker's event loop; None without a recent status.
    ledger_bytes, log_bytes : int
        Size of the ledger, and of all log files.
    """

    market_s: float
    processes: dict[str, Usage]
    tasks: int | None
    ledger_bytes: int
    log_bytes: int


class Status(msgspec.Struct, frozen=True):
    """The part of a worker's status file that is sampled."""

    ts_ns: int
    tasks: int = 0
    dropped: dict[str, int] = {}


def usage(pid: int) -> Usage | None:
    """What a process uses; None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    if "VmRSS" not in fields:  # it has ended, and is not reaped yet
        return None
    rss_bytes, threads = int(fields["VmRSS"][0]) * 1024, int(fields["Threads"][0])
    # Runner and worker are protected (docs/security.md): only root can list theirs.
    try:
        return Usage(pid, rss_bytes, threads, len(os.listdir(f"/proc/{pid}/fd")))
    except OSError as error:
        return Usage(pid, rss_bytes, threads, None, str(error.strerror))


def status_of(path: Path) -> Status | None:
    """The newest status of a worker; None without one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError):
        return None


def ledger_size(path: Path) -> int:
    """Bytes of a ledger's pages, whether they are in the file or still in the write-ahead log."""
    pages, size = (rows(path, f"PRAGMA {name}") for name in ("page_count", "page_size"))
    return int(pages[0][0] * size[0][0]) if pages and size else 0


def folder_size(path: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(folder, name)).st_size
    return total
