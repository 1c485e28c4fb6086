"""Writes the worker status to a file, for `view_paper_trades.py --watch`."""

import threading
from pathlib import Path

import msgspec
from loguru import logger

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
        self._latest: WorkerStatus | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="status-file", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def handle(self, event: Event) -> None:
        """Nothing: the next heartbeat includes the result."""

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        with self._changed:
            self._latest = worker_status
            self._changed.notify()

    def close(self) -> None:
        """The last status stays in the file; its age shows that no worker updates it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        failed = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._latest is not None or self._closing)
                worker_status, self._latest = self._latest, None
            if worker_status is None:
                return
            try:
                draft = self._path.with_suffix(".tmp")
                draft.write_bytes(msgspec.json.encode(worker_status))
                draft.replace(self._path)
                failed = False
            except OSError as error:
                if not failed:
                    logger.warning(f"{self._path} cannot be written: {error.strerror}")
                failed = True


def read_worker_status(path: Path) -> WorkerStatus | None:
    """The newest worker status of a profile; None if there is none that this program can read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerStatus)
    except (OSError, msgspec.DecodeError):
        return None
