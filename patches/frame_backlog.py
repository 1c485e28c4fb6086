"""Limits how long the frames of a stream occupy the event loop, and how long a frame may wait.

A frame is processed at once while the loop keeps up. Frames that arrive after `TURN_S` of one turn of the
loop wait for its next turn, so that timers, decisions and the answers to orders come in between. If the
oldest frame has waited for longer than `LONGEST_WAIT_S`, all that wait are dropped: what they contain is old,
and the newest state is requested instead.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

TURN_S = 0.02
"""Time for frames in one turn of the event loop; a frame that has begun is completed."""
LONGEST_WAIT_S = 1.0
"""Longest time between the arrival of a frame and its use. The books of a decision may be ten times as old,
but a backlog that has reached a second continues to grow."""


class FrameBacklog:
    """The frames of one stream that wait for the event loop. Used on that loop only.

    Parameters
    ----------
    process : Callable[[Iterable[bytes]], None]
        Processes frames in their order; may be called with one or with many, and takes them one by one.
    dropped : Callable[[int], None]
        Called after frames were dropped, with their number.
    call_soon : Callable[[Callable[[], None]], object]
        Calls a function in the next turn of the event loop.
    monotonic : Callable[[], float]
        A monotonic clock in seconds.
    """

    def __init__(
        self,
        process: Callable[[Iterable[bytes]], None],
        dropped: Callable[[int], None],
        call_soon: Callable[[Callable[[], None]], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process = process
        self._dropped = dropped
        self._call_soon = call_soon
        self._monotonic = monotonic
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._turn_ends: float | None = None
        """When the present turn's time for frames ends; None before its first frame."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, frame: bytes) -> None:
        """Process a frame now, or in a later turn if this one has no time left."""
        now = self._monotonic()
        if self._turn_ends is None:
            self._begin_turn(now)
        if self._waiting or now >= (self._turn_ends or now):
            self._waiting.append((now, frame))
        else:
            self._process((frame,))

    def clear(self) -> None:
        """Forget what waits: the stream is closed."""
        self._waiting.clear()

    def _begin_turn(self, now: float) -> None:
        self._turn_ends = now + TURN_S
        self._call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_ends = None
        if not self._waiting:
            return
        now = self._monotonic()
        if now - self._waiting[0][0] > LONGEST_WAIT_S:
            number = len(self._waiting)
            self._waiting.clear()
            self._dropped(number)
            return
        self._begin_turn(now)
        self._process(self._frames_of_turn(now + TURN_S))

    def _frames_of_turn(self, ends: float) -> Iterator[bytes]:
        while self._waiting:
            yield self._waiting.popleft()[1]
            if self._monotonic() >= ends:
                return
