"""Tests for research.recorder."""

import threading
import time

import pytest

from errors import Fatal
from research.recorder import Recorder
from research.recording_file import FrameKind, FrameWriter, read_frames

AT_NS = 1_790_035_200 * 10**9  # 2026-09-22T00:00:00Z


def recorder(writer, **options) -> Recorder:
    return Recorder(writer, lambda _: AT_NS, **options)


def until(holds, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_everything_received_is_recorded_in_its_order_at_market_time(tmp_path):
    """Frames, catalogue objects and feed values are in the file as they were received, at market time."""
    own = recorder(lambda: FrameWriter(tmp_path))
    own.start()
    own.market(b'[{"event_type":"book"}]')
    # The exact text of each object, with its spaces and its order of keys.
    own.catalogue(b'{"markets":[{"slug": "a", "x":1.10},{"b":2,"slug":"b"}]}')
    own.catalogue(b'[{"slug": "a", "x":1.10},{"slug":"b","b":3}]')
    own.feed("coinbase/v2/prices/BTC-USD/spot", b"\xff{}")
    own.close()
    assert [(f.recv_ns, f.kind, f.source, f.raw) for f in read_frames(tmp_path)] == [
        (AT_NS, FrameKind.MARKET, "clob", '[{"event_type":"book"}]'),
        (AT_NS, FrameKind.GAMMA, "a", '{"slug": "a", "x":1.10}'),
        (AT_NS, FrameKind.GAMMA, "b", '{"b":2,"slug":"b"}'),
        (AT_NS, FrameKind.GAMMA, "b", '{"slug":"b","b":3}'),
        (AT_NS, FrameKind.FEED, "coinbase/v2/prices/BTC-USD/spot", "\udcff{}"),
    ]
    assert (own.status().frames, own.status().lost, own.status().error) == (5, 0, "")


@pytest.mark.parametrize(
    "answer", [b"", b"{", b"[]", b'{"markets":3}', b'[{"slug":3}]', b"\xff", b"[" * 9999]
)
def test_an_unusable_answer_of_the_catalogue_is_not_recorded(tmp_path, answer):
    """The recorder raises nothing for an answer that its receiver reports."""
    own = recorder(lambda: FrameWriter(tmp_path))
    own.start()
    own.catalogue(answer)
    own.close()
    assert own.status().frames == 0


def test_a_slow_disk_delays_no_caller(tmp_path):
    """While the disk does not answer, frames beyond the queue are counted as lost; the next are recorded."""
    answers = threading.Event()

    def slow() -> FrameWriter:
        answers.wait(20)
        return FrameWriter(tmp_path)

    own = recorder(slow, queue_frames=3)
    own.start()
    own.market(b"0")
    until(lambda: own._queue.empty())  # the thread waits for the disk with this frame
    for number in range(1, 9):
        own.market(str(number).encode())
    assert own.status().lost == 5
    answers.set()
    until(lambda: own._queue.empty())
    own.market(b"9")
    own.close()
    assert [frame.raw for frame in read_frames(tmp_path)] == ["0", "1", "2", "3", "9"]
    assert own.status().lost == 5


def test_a_failing_disk_is_counted_and_shown_and_recording_goes_on(tmp_path):
    """Frames that cannot be written are counted; the error is shown until frames are written again."""
    free = [0]
    own = recorder(lambda: FrameWriter(tmp_path, free_bytes=lambda _: free[0]))
    own.start()
    own.market(b"1")
    until(lambda: own.status().lost)
    assert own.status().error == f"{tmp_path}: less than 500 MiB are free"
    free[0] = 10**12
    own.market(b"2")
    until(lambda: own.status().frames)
    assert (own.status().lost, own.status().error) == (1, "")
    own.close()
    assert [frame.raw for frame in read_frames(tmp_path)] == ["2"]


def test_a_folder_that_cannot_be_opened_is_counted_and_shown(tmp_path):
    """Without a folder every frame is counted as lost; neither `market` nor `close` raises."""

    def fails() -> FrameWriter:
        raise Fatal("another process records into it", "Stop it")

    own = recorder(fails)
    own.start()
    own.market(b"1")
    own.market(b"2")
    own.close()
    assert (own.status().lost, own.status().error) == (2, "another process records into it. Stop it")


def test_frames_that_are_not_written_before_the_end_are_counted(tmp_path):
    """`close` does not wait for a disk that does not answer, and counts what was left in the queue."""
    answers = threading.Event()

    def slow() -> FrameWriter:
        answers.wait(20)
        return FrameWriter(tmp_path)

    own = recorder(slow, close_limit_s=0.01)
    own.start()
    own.market(b"0")
    until(lambda: own._queue.empty())
    own.market(b"1")
    own.market(b"2")
    own.close()
    assert own.status().lost == 3  # with the sentinel of the end, in the place of the frame being written
    assert own.status().error == "the disk did not take all frames before the end"
    answers.set()
    own._thread.join(20)


def test_frames_are_on_the_disk_within_a_second(tmp_path):
    """Without further frames the last ones are written, too: a kill loses at most the last second."""
    own = recorder(lambda: FrameWriter(tmp_path))
    own.start()
    began = time.monotonic()
    own.market(b"1")
    until(lambda: own.status().frames == 1)
    assert time.monotonic() - began >= 0.2  # not one block for each frame
    assert [frame.raw for frame in read_frames(tmp_path)] == ["1"]
    own.close()
