"""Tests for research.recording_file."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import Fatal
from research.recording_file import (
    Frame,
    FrameKind,
    FrameWriter,
    RecordingError,
    read_frames,
    read_rows,
    recording_files,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIDNIGHT = 1_790_035_200 * 10**9  # 2026-09-22T00:00:00Z
ROOT = Path(__file__).parent.parent.parent


def frame(number: int, at_ns: int = MIDNIGHT) -> Frame:
    return Frame(at_ns + number, FrameKind.MARKET, "clob", f'{{"event_type":"book","n":{number}}}')


def record(folder: Path, *frames: Frame, **options: int) -> FrameWriter:
    writer = FrameWriter(folder, **options)
    for each in frames:
        writer.write(each)
    writer.close()
    return writer


def names(folder: Path) -> list[str]:
    return [path.name for path in recording_files(folder)]


# Every code point, with lone surrogates: surrogate escapes stand for bytes that are not UTF-8.
texts = st.text(st.characters(categories=None), max_size=40)
frames = st.builds(Frame, st.integers(0, 2**62), st.sampled_from(FrameKind), texts, texts)


@given(st.lists(frames, max_size=8))
@settings(max_examples=25)
def test_every_text_is_read_as_it_was_received(recorded):
    """Kind, source, time and text of every frame come back unchanged and in their order."""
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), *recorded)
        assert (list(read_frames(Path(folder))) if recorded else []) == recorded


def test_the_file_is_a_standard_container(tmp_path):
    """A day file is zstd-compressed JSON lines that any program can read."""
    record(tmp_path, frame(1), frame(2))
    content = zstd.decompress((tmp_path / "2026-09-22.jsonl.zst").read_bytes())
    assert content.decode().splitlines() == [
        '{"recv_ns":1790035200000000001,"kind":"market","source":"clob",'
        '"raw":"{\\"event_type\\":\\"book\\",\\"n\\":1}"}',
        '{"recv_ns":1790035200000000002,"kind":"market","source":"clob",'
        '"raw":"{\\"event_type\\":\\"book\\",\\"n\\":2}"}',
    ]


def test_a_new_file_begins_with_each_utc_day_and_with_each_full_part(tmp_path):
    """Rotation: by day, and within a day by size; the parts are read in the order of their numbers."""
    writer = FrameWriter(tmp_path, part_bytes=1)
    recorded = [frame(n, MIDNIGHT - 6) for n in range(17)]
    for each in recorded:
        writer.write(each)
        writer.flush()
    writer.close()
    first = [f"2026-09-21{part}.jsonl.zst" for part in ("", *(f".{n}" for n in range(2, 7)))]
    second = [f"2026-09-22{part}.jsonl.zst" for part in ("", *(f".{n}" for n in range(2, 12)))]
    assert names(tmp_path) == first + second
    assert list(read_frames(tmp_path)) == recorded


def test_a_clock_that_is_set_back_over_midnight_stays_in_the_newest_file(tmp_path):
    """The order of the files is the order of writing, also if the clock goes back by a day."""
    recorded = [frame(1), frame(2, MIDNIGHT - 10**9)]
    record(tmp_path, recorded[0])
    record(tmp_path, recorded[1])
    assert names(tmp_path) == ["2026-09-22.jsonl.zst"]
    assert list(read_frames(tmp_path)) == recorded


def test_the_oldest_files_are_removed_above_the_limit(tmp_path):
    """The disk limit keeps the newest files, never removes the one being written, and counts the others."""
    writer = FrameWriter(tmp_path, limit_bytes=400)
    for number in range(20):
        writer.write(frame(number))
        writer.flush()
    assert writer.bytes == sum(path.stat().st_size for path in recording_files(tmp_path)) <= 400
    left = list(read_frames(tmp_path))
    assert left == [frame(number) for number in range(20)][-len(left) :]
    assert len(left) >= 2
    assert writer.removed >= 5
    writer.close()
    record(tmp_path, frame(20), limit_bytes=10)
    assert list(read_frames(tmp_path)) == [frame(20)]


def test_a_later_start_cuts_an_incomplete_block_and_appends(tmp_path):
    """What a kill left of a block is cut by the next writer, and nothing else of the file."""
    path = tmp_path / "2026-09-22.jsonl.zst"
    record(tmp_path, frame(1))
    complete = path.read_bytes()
    for length in (1, 3, 4, 9, len(complete) - 1):
        path.write_bytes(complete + complete[:length])
        (tmp_path / "writing").write_text(path.name)
        assert list(read_frames(tmp_path)) == [frame(1)], length
        record(tmp_path, frame(2))
        assert list(read_frames(tmp_path)) == [frame(1), frame(2)]
        assert names(tmp_path) == [path.name]


def test_a_damaged_file_is_left_as_it_is(tmp_path):
    """A writer cuts nothing that is not an incomplete block: it begins the next part."""
    record(tmp_path, frame(1))
    path = tmp_path / "2026-09-22.jsonl.zst"
    path.write_bytes(damaged := path.read_bytes() + b"no block of zstd at all")
    record(tmp_path, frame(2))
    assert path.read_bytes() == damaged
    assert names(tmp_path) == [path.name, "2026-09-22.2.jsonl.zst"]


@pytest.mark.parametrize("length", [30, 60, 99])
def test_a_truncated_file_is_an_error_with_file_and_row(tmp_path, length):
    """A file that was closed and then lost its end is named, after the rows that are complete."""
    writer = FrameWriter(tmp_path)
    for number in range(3):
        writer.write(frame(number))
        writer.flush()
    writer.close()
    path = tmp_path / "2026-09-22.jsonl.zst"
    block = path.stat().st_size // 3
    path.write_bytes(path.read_bytes()[: 2 * block + block * length // 100])
    found = []
    with pytest.raises(RecordingError) as raised:
        found.extend(read_frames(tmp_path))
    assert str(raised.value).startswith(f"{path}, row 2: the file is truncated after this row")


def test_frames_before_a_truncated_end_are_returned(tmp_path):
    """Reading ends with the error, after all frames before it."""
    record(tmp_path, *(frame(number) for number in range(3)))
    path = tmp_path / "2026-09-22.jsonl.zst"
    path.write_bytes(path.read_bytes() * 2)
    path.write_bytes(path.read_bytes()[:-20])
    found = []
    with pytest.raises(RecordingError):
        found.extend(read_rows(tmp_path))
    assert found[:3] == [(path, n + 1, frame(n)) for n in range(3)]


def test_a_changed_bit_is_an_error(tmp_path):
    """Each block has a checksum: content that was changed on the disk is never returned."""
    record(tmp_path, frame(1))
    path = tmp_path / "2026-09-22.jsonl.zst"
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"row 0: the file is damaged after this row"):
        list(read_frames(tmp_path))


@pytest.mark.parametrize(
    "row",
    [b"[]", b"{", b'{"recv_ns":"1","kind":"market","source":"clob","raw":""}', b'{"recv_ns":1}', b"\xff"],
)
def test_a_row_that_is_no_frame_is_an_error_with_its_number(tmp_path, row):
    """A row with other columns, other types or no JSON is named by file and number."""
    record(tmp_path, frame(1))
    path = tmp_path / "2026-09-22.jsonl.zst"
    path.write_bytes(path.read_bytes() + zstd.compress(row + b"\n"))
    with pytest.raises(RecordingError) as raised:
        list(read_frames(path))
    assert str(raised.value).startswith(f"{path}, row 2: the row is not a frame: ")


def test_a_folder_without_a_recording_is_an_error(tmp_path):
    """A wrong folder is not an empty recording."""
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RecordingError, match="there is no recording"):
            list(read_frames(path))


def test_a_full_disk_loses_its_frames_only(tmp_path, monkeypatch):
    """After a failed write the file is repaired, and later frames are recorded."""
    free = [10**12]
    writer = FrameWriter(tmp_path, free_bytes=lambda _: free[0])
    writer.write(frame(1))
    writer.flush()
    free[0] = 0
    writer.write(frame(2))
    with pytest.raises(OSError, match="less than 500 MiB are free"):
        writer.flush()
    free[0] = 10**12
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: _partly(write, fd, content))
    writer.write(frame(3))
    with pytest.raises(OSError, match="No space left"):
        writer.flush()
    monkeypatch.undo()
    writer.write(frame(4))
    writer.close()
    assert list(read_frames(tmp_path)) == [frame(1), frame(4)]
    assert (writer.written, writer.lost) == (2, 2)


def _partly(write, descriptor, content):
    if len(content) < 40:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return write(descriptor, content[:40])


def test_two_processes_cannot_record_into_one_folder(tmp_path):
    """The second writer of a folder is refused, with the folder and the next step."""
    writer = FrameWriter(tmp_path)
    with pytest.raises(Fatal, match=f"another process records into {tmp_path}"):
        FrameWriter(tmp_path)
    writer.close()


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_it_flushed(tmp_path):
    """After kill -9 in the middle of writing, every flushed frame is read, in its order, without an error."""
    program = (
        "import sys; from pathlib import Path\n"
        "from research.recording_file import *\n"
        "writer = FrameWriter(Path(sys.argv[1]), part_bytes=200_000)\n"
        "for n in range(10**9):\n"
        f"    writer.write(Frame({MIDNIGHT} + n, FrameKind.MARKET, 'clob', str(n) * 50))\n"
        "    if n % 50 == 49: writer.flush(); print(n, flush=True)\n"
    )
    expected = 0
    for flushes in (1, 7, 40, 90):
        process = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        last = [int(process.stdout.readline()) for _ in range(flushes)][-1]
        process.kill()
        reported = [*map(int, process.stdout.read().split())]
        process.wait()
        process.stdout.close()
        last = max([last, *reported])
        numbers = [each.recv_ns - MIDNIGHT for each in read_frames(tmp_path)][expected:]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) in (last + 1, last + 51)
        expected += len(numbers)
