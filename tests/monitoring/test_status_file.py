"""The status file: the newest state of a running worker, for other processes."""

import threading
import time

from events import WorkerStatus
from monitoring.status_file import STATUS_FILE, StatusFile, read_worker_status


def worker_status(second: float) -> WorkerStatus:
    return WorkerStatus(
        ts_ns=1,
        profile="recorded",
        mode="simulation",
        armed=False,
        halted=None,
        allows_orders=True,
        mode_detail="started without --live",
        second=second,
    )


def test_the_newest_status_is_in_the_file(tmp_path):
    """However fast it is written, the file ends with the last status, and a reader never sees half of one."""
    file = StatusFile(tmp_path / STATUS_FILE)
    file.start()
    for second in range(500):
        file.heartbeat(worker_status(float(second)))
        seen = read_worker_status(tmp_path / STATUS_FILE)
        assert seen is None or seen.second <= second
    deadline = time.monotonic() + 5
    while read_worker_status(tmp_path / STATUS_FILE) != worker_status(499.0):
        assert time.monotonic() < deadline
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == [STATUS_FILE]


def test_a_folder_that_is_gone_is_survived(tmp_path):
    """When the file cannot be written the worker continues, and ends at once."""
    file = StatusFile(tmp_path / "gone" / STATUS_FILE)
    file.start()
    file.heartbeat(worker_status(1.0))
    file.close()
    assert "status-file" not in {thread.name for thread in threading.enumerate()}


def test_an_invalid_status_file_is_none(tmp_path):
    """A missing, incomplete or foreign file is read as no status."""
    assert read_worker_status(tmp_path / STATUS_FILE) is None
    (tmp_path / STATUS_FILE).write_text('{"ts_ns": 1')
    assert read_worker_status(tmp_path / STATUS_FILE) is None
