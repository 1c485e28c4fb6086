"""One writer per ledger: a lock that ends with its process, and a file that names the holder."""

import os
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from errors import Fatal


class WriterLock:
    """Held from construction to `release`.

    The name of the holder is in a separate file, because older versions of filelock truncate the locked file.

    Raises
    ------
    Fatal
        If another writer has locked the ledger, with its process, or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._holder = path.with_name(path.name + ".writer")
        self._lock = FileLock(path.with_name(path.name + ".lock"), is_singleton=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            self._holder.write_text(f"process {os.getpid()} since {since}", encoding="utf-8")
        except Timeout:
            raise Fatal(
                f"the ledger {path} is being written by {self._who()}",
                "Stop that bot first: a state folder is for one bot",
            ) from None
        except OSError as error:
            self._lock.release()
            raise Fatal(
                f"ledger cannot be written: {path.parent}: {error.strerror}",
                "Check that the folder can be written and the disk is not full",
            ) from error

    def release(self) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _who(self) -> str:
        try:
            return self._holder.read_text(encoding="utf-8") or "another process"
        except OSError:
            return "another process"
