"""The pulse file: the newest state of a running worker, for whoever looks from outside."""

import time

from core.nautilus_core.events import Pulse
from monitoring.pulse_file import PULSE_FILE, PulseFile, read_pulse


def pulse(second: float) -> Pulse:
    return Pulse(
        ts_ns=1,
        book="recorded",
        mode="simulation",
        armed=False,
        halted=None,
        allows_orders=True,
        mode_detail="started without --live",
        second=second,
    )


def test_the_newest_pulse_is_in_the_file(tmp_path):
    """However fast it beats, the file ends with the last beat, and a reader never sees half of one."""
    file = PulseFile(tmp_path / PULSE_FILE)
    file.start()
    for second in range(500):
        file.beat(pulse(float(second)))
        seen = read_pulse(tmp_path / PULSE_FILE)
        assert seen is None or seen.second <= second
    deadline = time.monotonic() + 5
    while read_pulse(tmp_path / PULSE_FILE) != pulse(499.0):
        assert time.monotonic() < deadline
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == [PULSE_FILE]


def test_a_folder_that_is_gone_is_survived(tmp_path):
    """When the file cannot be written the worker goes on, and ends at once."""
    file = PulseFile(tmp_path / "gone" / PULSE_FILE)
    file.start()
    file.beat(pulse(1.0))
    file.close()
    assert not file._thread.is_alive()


def test_what_is_no_pulse_is_none(tmp_path):
    """A missing, half or foreign file is read as no pulse."""
    assert read_pulse(tmp_path / PULSE_FILE) is None
    (tmp_path / PULSE_FILE).write_text('{"ts_ns": 1')
    assert read_pulse(tmp_path / PULSE_FILE) is None
