"""The files of a recording: every received text with its time of receipt, lossless, in compressed day files.

A recording is a folder with one zstd-compressed JSON-lines file per UTC day, `YYYY-MM-DD.jsonl.zst`, and
further parts `YYYY-MM-DD.2.jsonl.zst`, … when a file has reached its size. A file is a sequence of
independent zstd frames, called blocks here, each with a checksum and on the disk when `FrameWriter.flush`
returns.

A process that is killed may leave an incomplete block at the end of the file that it was writing. The file
`writing` in the folder contains that file's name, so that readers end there without an error, and the next
writer cuts the incomplete block. In every other file an incomplete block is an error: the file was truncated.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from errno import ENOSPC
from pathlib import Path
from typing import BinaryIO

import msgspec
from filelock import FileLock, Timeout

from common.plain_text import one_line
from errors import Fatal
from models import Frozen

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEBIBYTE = 2**20
SUFFIX = ".jsonl.zst"
FILE_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.(\d{1,6}))?\.jsonl\.zst")
WRITING, LOCK = "writing", ".lock"
DAY_NS = 86_400 * 10**9

BLOCK_BYTES = MEBIBYTE
"""Uncompressed size from which a block is written at once; otherwise it is written by `flush`."""
LARGEST_TAIL = 8 * MEBIBYTE
"""More bytes than this after the last complete block are not cut: they are not one incomplete block."""
LONGEST_ROW = 64 * MEBIBYTE
READ_BYTES, CONTENT_BYTES = 2**16, MEBIBYTE
LEVEL = 3
OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,
}


class FrameKind(StrEnum):
    """What the text of a frame is."""

    MARKET = "market"
    """A text frame of the market stream."""
    GAMMA = "gamma"
    """The object of a market in the catalogue, again after its resolution."""
    FEED = "feed"
    """A value of an external source."""


class Frame(Frozen, frozen=True):
    """One received text.

    Attributes
    ----------
    recv_ns : int
        Time of receipt on the market clock, in nanoseconds since the epoch.
    source : str
        "clob" for the market stream, the market's slug for a catalogue object, the feed's name for a value.
    raw : str
        Exactly the received text. Bytes that are not UTF-8 are surrogate escapes (PEP 383).
    """

    recv_ns: int
    kind: FrameKind
    source: str
    raw: str


class RecordingError(Fatal):
    """A recording cannot be used: the file, its row where there is one, and what is wrong with it."""

    def __init__(self, path: Path, row: int | None, fault: str, next_step: str = "") -> None:
        place = str(path) if row is None else f"{path}, row {row}"
        super().__init__(f"{place}: {fault}", next_step)
        self.path = path
        self.row = row
        self.fault = fault


# --- reading -------------------------------------------------------------------------------------


def read_frames(path: Path) -> Iterator[Frame]:
    """Read the frames of a recording in the order in which they were written.

    Parameters
    ----------
    path : Path
        A recording's folder, or one of its files.

    Raises
    ------
    RecordingError
        If there is no recording, or a file is truncated, damaged or has a row that is not a frame. All frames
        before that place have been returned.
    """
    for _, _, frame in read_rows(path):
        yield frame


def read_rows(path: Path) -> Iterator[tuple[Path, int, Frame]]:
    """Read the frames as `read_frames` does, each with its file and its row, counted from 1."""
    for file in recording_files(path):
        for row, line in enumerate(_lines(file), 1):
            yield file, row, _decoded(file, row, line)


def recording_files(path: Path) -> list[Path]:
    """The files of a recording, oldest first.

    Raises
    ------
    RecordingError
        If there are none.
    """
    if path.is_file():
        return [path]
    files = _files(path) if path.is_dir() else []
    if not files:
        raise RecordingError(
            path, None, f"there is no recording (YYYY-MM-DD{SUFFIX})", "Give the folder of --record"
        )
    return files


def _files(folder: Path) -> list[Path]:
    found = {_day_and_part(path): path for path in folder.iterdir() if FILE_NAME.fullmatch(path.name)}
    return [found[key] for key in sorted(found)]


def _day_and_part(path: Path) -> tuple[str, int]:
    match = FILE_NAME.fullmatch(path.name)
    assert match is not None
    return match[1], int(match[2] or 1)


def _lines(path: Path) -> Iterator[bytes]:
    """The rows of a file without their line ends."""
    row, rest = 0, b""
    blocks = _content(path)
    while True:
        try:
            content = next(blocks, None)
        except _Incomplete as incomplete:
            if incomplete.size <= LARGEST_TAIL and _is_being_written(path):
                return
            raise RecordingError(
                path,
                row,
                "the file is truncated after this row",
                f"Copy it again, or cut its incomplete end: python -m research.integrity --repair {path}",
            ) from None
        except zstd.ZstdError as error:
            raise RecordingError(
                path, row, f"the file is damaged after this row ({one_line(error)})", "Copy it again"
            ) from None
        if content is None:
            break
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            row += 1
            yield line
        if len(rest) > LONGEST_ROW:
            raise RecordingError(path, row + 1, f"the row has more than {LONGEST_ROW} bytes")
    if rest:
        yield rest  # a file that another program wrote


class _Incomplete(Exception):
    """The last block of a file is incomplete; it has `size` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size


def _content(path: Path) -> Iterator[bytes]:
    """The decompressed content of a file.

    The content of a block is returned when its checksum was compared; a block of another program may be too
    large for that, and is returned in parts.

    Raises
    ------
    _Incomplete, zstd.ZstdError
    """
    with path.open("rb") as file:
        compressed = file.read(READ_BYTES)
        while compressed:
            block, size = zstd.ZstdDecompressor(), len(compressed)
            parts = [block.decompress(compressed, CONTENT_BYTES)]
            while not block.eof:
                compressed = file.read(READ_BYTES) if block.needs_input else b""
                size += len(compressed)
                if block.needs_input and not compressed:
                    raise _Incomplete(size)
                parts.append(block.decompress(compressed, CONTENT_BYTES))
                if size > LARGEST_TAIL:
                    yield b"".join(parts)
                    parts.clear()
            yield b"".join(parts)
            compressed = block.unused_data or file.read(READ_BYTES)


def _is_being_written(path: Path) -> bool:
    """Whether a writer has the file open, or was killed while it had."""
    try:
        return (path.parent / WRITING).read_text() == path.name
    except OSError:
        return False


def _decoded(path: Path, row: int, line: bytes) -> Frame:
    try:
        return msgspec.json.decode(line, type=Frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        first = error
    try:
        return msgspec.convert(json.loads(line), Frame)  # also accepts surrogate escapes
    except (ValueError, RecursionError):
        raise RecordingError(
            path, row, f"the row is not a frame: {one_line(first)}", "Give a file written by --record"
        ) from None


# --- writing -------------------------------------------------------------------------------------


class FrameWriter:
    """Appends frames to a recording; the only writer of its folder.

    Parameters
    ----------
    folder : Path
        Created if it is missing.
    part_bytes : int
        Compressed size from which a day's next part begins.
    limit_bytes : int
        Size of all files from which the oldest ones are removed.
    reserve_bytes : int
        Space that is left free on the disk: less of it is an error, like a full disk.
    free_bytes : Callable[[Path], int]
        Free space of the disk of a folder.

    Raises
    ------
    Fatal
        If another process records into the folder, or it cannot be created.
    """

    def __init__(
        self,
        folder: Path,
        *,
        part_bytes: int = 64 * MEBIBYTE,
        limit_bytes: int = 20_000 * MEBIBYTE,
        reserve_bytes: int = 500 * MEBIBYTE,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.folder = folder
        self.written = 0
        """Frames on the disk."""
        self.lost = 0
        """Frames that could not be written."""
        self.removed = 0
        """Files removed because of the limit."""
        self.bytes = 0
        """Size of all files of the folder."""
        self._part_bytes = min(part_bytes, max(1, limit_bytes // 4))
        self._limit_bytes = limit_bytes
        self._reserve_bytes = reserve_bytes
        self._free_bytes = free_bytes
        self._rows: list[bytes] = []
        self._buffered = 0
        self._day = ""
        self._file: BinaryIO | None = None
        self._path = folder
        self._size = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            self._lock.acquire(blocking=False)
            self._repair()
        except Timeout:
            raise Fatal(f"another process records into {folder}", "Stop it, or give another folder") from None
        except OSError as error:
            raise Fatal(
                f"{folder} cannot be used for a recording: {error.strerror}", "Give a writable folder"
            ) from None
        self.bytes = sum(path.stat().st_size for path in _files(folder))

    def write(self, frame: Frame) -> None:
        """Buffer a frame; writes the buffered ones first if this is the first of another day.

        Raises
        ------
        OSError
            As `flush` does; this frame is buffered then.
        """
        day = utc_day(frame.recv_ns)
        try:
            if day > self._day:
                try:
                    self.flush()
                finally:
                    self._close_file()
                    self._day = max(day, self._newest_day())
            elif self._buffered >= BLOCK_BYTES:
                self.flush()
        finally:
            row = _encoded(frame)
            self._rows.append(row)
            self._buffered += len(row)

    def flush(self) -> None:
        """Write the buffered frames as one block, and wait until it is on the disk.

        Raises
        ------
        OSError
            If the disk is full or fails. The buffered frames are lost, and the file ends with a complete
            block or is repaired by the next call.
        """
        if not self._rows:
            return
        rows, self._rows, self._buffered = self._rows, [], 0
        try:
            if self._free_bytes(self.folder) < self._reserve_bytes:
                raise OSError(ENOSPC, f"less than {self._reserve_bytes // MEBIBYTE} MiB are free")
            if self._file is None:
                self._open_file()
            assert self._file is not None
            block = zstd.compress(b"".join(rows), options=OPTIONS)
            _write_all(self._file.fileno(), block)
            os.fsync(self._file.fileno())
        except OSError:
            self.lost += len(rows)
            self._close_file()  # opening it again cuts what was written of the block
            raise
        self._size += len(block)
        self.bytes += len(block)
        self.written += len(rows)
        if self._size >= self._part_bytes:
            self._close_file()
        self._remove_oldest()

    def close(self) -> None:
        """Write the buffered frames, and close the recording.

        Raises
        ------
        OSError
            As `flush` does; the recording is closed then, too.
        """
        try:
            self.flush()
            self._close_file()
            self._repair()
        finally:
            self._close_file()
            self._lock.release()

    def _open_file(self) -> None:
        """Open the newest part of the day, or the next one if it is full or damaged."""
        parts = [path for path in _files(self.folder) if _day_and_part(path)[0] == self._day]
        part, path = 1, self.folder / f"{self._day}{SUFFIX}"
        if parts:
            path, part = parts[-1], _day_and_part(parts[-1])[1]
            if not cut_incomplete_block(path) or path.stat().st_size >= self._part_bytes:
                part += 1
                path = self.folder / f"{self._day}.{part}{SUFFIX}"
        (self.folder / WRITING).write_text(path.name)
        self._file = path.open("ab", buffering=0)
        self._path, self._size = path, path.stat().st_size
        self.bytes = sum(each.stat().st_size for each in _files(self.folder))

    def _repair(self) -> None:
        """Cut the incomplete end of the file that was being written, also by an earlier process."""
        try:
            path = self.folder / (self.folder / WRITING).read_text()
        except FileNotFoundError:
            return
        if FILE_NAME.fullmatch(path.name) and path.parent == self.folder and path.exists():
            cut_incomplete_block(path)
        (self.folder / WRITING).unlink()

    def _newest_day(self) -> str:
        """The day of the newest file, which a clock that was set back does not leave."""
        files = _files(self.folder)
        return _day_and_part(files[-1])[0] if files else ""

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remove_oldest(self) -> None:
        if self.bytes <= self._limit_bytes:
            return
        for path in _files(self.folder):
            if self.bytes <= self._limit_bytes or path == self._path:
                return
            size = path.stat().st_size
            path.unlink()
            self.bytes -= size
            self.removed += 1


def utc_day(time_ns: int) -> str:
    """The UTC day of a time, as in the file names."""
    return datetime.fromtimestamp(time_ns // DAY_NS * 86_400, UTC).strftime("%Y-%m-%d")


def cut_incomplete_block(path: Path) -> bool:
    """Cut the incomplete block at the end of a file.

    Returns False, and leaves the file unchanged, if its end is not one incomplete block but damaged.
    """
    content = path.read_bytes()
    view, end = memoryview(content), 0
    while end < len(content):
        try:
            end += zstd.get_frame_size(view[end:])
        except zstd.ZstdError:
            break
    if end == len(content):
        return True
    magic = b"\x28\xb5\x2f\xfd"
    if len(content) - end > LARGEST_TAIL or content[end : end + 4] != magic[: len(content) - end]:
        return False
    with path.open("r+b") as file:
        file.truncate(end)
        file.flush()
        os.fsync(file.fileno())
    return True


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _encoded(frame: Frame) -> bytes:
    try:
        return msgspec.json.encode(frame) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(frame)).encode() + b"\n"
