"""Writes the worker status to a file, for `view_paper_trades.py --watch`."""

from pathlib import Path

import msgspec
from loguru import logger

from common.newest_only import NewestOnly
from events import Event, WorkerStatus

STATUS_FILE = "pulse.json"
"""Its name, in the folder of the profile."""


class StatusFile:
    """Writes the newest worker status to a file. A `runtime.worker.observers.Observer`.

    The file is replaced by its own thread and never synced: it has the current state, which is not needed
    after a crash.

    Parameters
    ----------
    path : Path
        `state/<profile>/pulse.json`; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        self._writer = NewestOnly("status-file", self._write)

    def start(self) -> None:
        self._writer.start()

    def handle(self, event: Event) -> None:
        """Nothing: the next heartbeat includes the result."""

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        self._writer.give(worker_status)

    def close(self) -> None:
        """The last status stays in the file; its age shows that no worker updates it."""
        self._writer.close()

    def _write(self, worker_status: WorkerStatus) -> None:
        try:
            draft = self._path.with_suffix(".tmp")
            draft.write_bytes(msgspec.json.encode(worker_status))
            draft.replace(self._path)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning(f"{self._path} cannot be written: {error.strerror}")
            self._failed = True


def read_worker_status(path: Path) -> WorkerStatus | None:
    """The newest worker status of a profile; None if there is none that this program can read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerStatus)
    except (OSError, msgspec.DecodeError):
        return None
