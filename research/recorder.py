"""Records what a process receives, on a thread of its own with a bounded queue.

The callers only put texts into the queue: neither a slow nor a failing disk delays them. What does not fit
into the queue or cannot be written is counted, and recording continues when the disk does.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from loguru import logger

from common.plain_text import one_line
from errors import Fatal
from events import RecordingStatus
from research.recording_file import Frame, FrameKind, FrameWriter

FLUSH_S = 0.25
"""Maximum age of a frame that is not on the disk, apart from the duration of the write."""
QUEUE_FRAMES = 20_000
RETRY_S = 5.0
"""Pause between two attempts to open a recording's folder."""
LOG_EVERY_S = 60.0
CLOSE_LIMIT_S = 3.0
CLOB = "clob"


class _Objects(msgspec.Struct):
    markets: list[msgspec.Raw]


class _Named(msgspec.Struct):
    slug: str


class Recorder:
    """Records frames, catalogue objects and feed values.

    `market`, `catalogue` and `feed` may be called from any thread, return at once and raise nothing.

    Parameters
    ----------
    open_writer : Callable[[], FrameWriter]
        Called on the recorder's thread, again after a failure.
    market_time_ns : Callable[[int], int]
        The market clock's nanoseconds at a machine time in nanoseconds.
    queue_frames : int
        Maximum number of frames that wait for the disk.
    close_limit_s : float
        Seconds that `close` waits for the disk.
    """

    def __init__(
        self,
        open_writer: Callable[[], FrameWriter],
        market_time_ns: Callable[[int], int],
        *,
        queue_frames: int = QUEUE_FRAMES,
        close_limit_s: float = CLOSE_LIMIT_S,
    ) -> None:
        self._open_writer = open_writer
        self._market_time_ns = market_time_ns
        self._close_limit_s = close_limit_s
        self._queue: queue.Queue[Frame | None] = queue.Queue(queue_frames)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._writer: FrameWriter | None = None
        self._order = threading.Lock()
        self._lost = 0
        self._dropped = 0
        self._error = ""
        self._logged_s = float("-inf")
        self._last_objects: dict[str, str] = {}
        self._stopping = threading.Event()
        self._retry_s = float("-inf")
        """Monotonic time before which the folder is not tried again."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Write what is queued, and close the recording.

        What is not written within `CLOSE_LIMIT_S` is counted as lost.
        """
        self._stopping.set()
        with suppress(queue.Full):  # if it is full, the thread ends after its last frame
            self._queue.put_nowait(None)
        self._thread.join(self._close_limit_s)
        if self._thread.is_alive():
            self._dropped += self._queue.qsize()
            self._report("the disk did not take all frames before the end")

    def status(self) -> RecordingStatus:
        """The present state."""
        writer = self._writer
        return RecordingStatus(
            frames=writer.written if writer else 0,
            lost=self._dropped + self._lost + (writer.lost if writer else 0),
            bytes=writer.bytes if writer else 0,
            error=self._error,
        )

    # --- called by the receivers -----------------------------------------------------------------

    def market(self, raw: bytes) -> None:
        """Record a frame of the market stream."""
        self._put(FrameKind.MARKET, CLOB, _text(raw))

    def catalogue(self, answer: bytes) -> None:
        """Record the objects of an answer of the catalogue that differ from their market's last one."""
        try:
            objects = _objects(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # not an answer with markets: its receiver reports it
        for slug, text in objects:
            if self._last_objects.get(slug) != text:
                self._last_objects[slug] = text
                self._put(FrameKind.GAMMA, slug, text)

    def feed(self, name: str, raw: bytes) -> None:
        """Record a text of an external source."""
        self._put(FrameKind.FEED, name, _text(raw))

    def _put(self, kind: FrameKind, source: str, raw: str) -> None:
        with self._order:  # otherwise two threads could queue their frames against their times
            frame = Frame(self._market_time_ns(time.time_ns()), kind, source, raw)
            try:
                self._queue.put_nowait(frame)
            except queue.Full:
                self._dropped += 1

    # --- on the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write_queue()
        except Exception as error:  # noqa: BLE001  reported: nothing else notices the end of the thread
            self._report(f"the recorder has ended: {type(error).__name__}: {one_line(error)}")

    def _write_queue(self) -> None:
        due_s: float | None = None
        while True:
            frame = self._next(due_s)
            now_s = time.monotonic()
            if frame is not None:
                self._write(frame)
                due_s = now_s + FLUSH_S if due_s is None else due_s
            if due_s is not None and (now_s >= due_s or self._ends(frame)):
                self._flush()
                due_s = None
            if self._ends(frame):
                self._close_writer()
                return

    def _ends(self, frame: Frame | None) -> bool:
        return frame is None and self._stopping.is_set() and self._queue.empty()

    def _next(self, due_s: float | None) -> Frame | None:
        """The next frame; None if there is none until the time, or at the end."""
        wait_s = None if due_s is None else max(0.0, due_s - time.monotonic())
        try:
            return self._queue.get(block=not self._stopping.is_set(), timeout=wait_s)
        except queue.Empty:
            return None

    def _write(self, frame: Frame) -> None:
        writer = self._ready_writer()
        if writer is None:
            self._lost += 1
            return
        try:
            writer.write(frame)
        except OSError as error:
            self._report(f"{writer.folder}: {error.strerror or error}")

    def _flush(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.flush()
        except OSError as error:
            self._report(f"{self._writer.folder}: {error.strerror or error}")
        else:
            self._error = ""

    def _close_writer(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            self._report(f"{self._writer.folder}: {error.strerror or error}")

    def _ready_writer(self) -> FrameWriter | None:
        if self._writer is None and time.monotonic() >= self._retry_s:
            try:
                self._writer = self._open_writer()
            except Fatal as error:
                self._retry_s = time.monotonic() + RETRY_S
                self._report(str(error))
        return self._writer

    def _report(self, error: str) -> None:
        self._error = error
        if time.monotonic() - self._logged_s >= LOG_EVERY_S:
            self._logged_s = time.monotonic()
            logger.warning(f"recording: {error}; {self.status().lost} frames lost so far; trading goes on")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _objects(answer: bytes) -> list[tuple[str, str]]:
    """Slug and exact text of each market in an answer: a list of objects, or a page with `markets`."""
    listed = answer.lstrip()[:1] == b"["
    rows = (
        msgspec.json.decode(answer, type=list[msgspec.Raw])
        if listed
        else msgspec.json.decode(answer, type=_Objects).markets
    )
    return [(msgspec.json.decode(row, type=_Named).slug, bytes(row).decode()) for row in rows]
