"""The pulse as a file, for whoever looks at a running bot from outside: `view_paper_trades.py --watch`."""

import threading
from pathlib import Path

import msgspec
from loguru import logger

from events import Event, WorkerStatus

STATUS_FILE = "pulse.json"
"""Its name, in the book's folder."""


class StatusFile:
    """Keeps the newest pulse in a file. A `runtime.worker.observers.Observer`.

    The file is replaced by a thread of its own and never synced: it says how things are now, and after a
    crash nobody needs it.

    Parameters
    ----------
    path : Path
        `state/<book>/pulse.json`; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._latest: WorkerStatus | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pulse-file", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def handle(self, event: Event) -> None:
        """The next beat says what came of it."""

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        with self._changed:
            self._latest = worker_status
            self._changed.notify()

    def close(self) -> None:
        """The last pulse stays in the file; its age says that nobody beats any more."""
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
    """The newest pulse of a book; None if there is none that this program understands."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerStatus)
    except (OSError, msgspec.DecodeError):
        return None
