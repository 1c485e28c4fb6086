"""Frames of a stream that is faster than the event loop: they wait for its turns; old ones are dropped."""

from collections.abc import Callable, Iterable

from patches.frame_backlog import FrameBacklog


class Loop:
    """An event loop of turns, and a clock that each frame moves by `cost_s`."""

    def __init__(self, cost_s: float) -> None:
        self.now = 0.0
        self.processed: list[list[bytes]] = []
        """The frames of each call."""
        self.dropped: list[int] = []
        self._cost_s = cost_s
        self._soon: list[Callable[[], None]] = []
        self.backlog = FrameBacklog(self._process, self.dropped.append, self._soon.append, lambda: self.now)

    def _process(self, frames: Iterable[bytes]) -> None:
        self.processed.append(taken := [])
        for frame in frames:
            taken.append(frame)
            self.now += self._cost_s

    @property
    def taken(self) -> list[bytes]:
        """All processed frames, in their order."""
        return [frame for call in self.processed for frame in call]

    def turn(self, passed_s: float = 0.0) -> int:
        """Run one turn, `passed_s` later; returns how many calls it had."""
        self.now += passed_s
        calls, self._soon[:] = list(self._soon), []
        for call in calls:
            call()
        return len(calls)


def frames(number: int) -> list[bytes]:
    return [str(place).encode() for place in range(number)]


def test_a_frame_is_processed_at_once_while_the_loop_keeps_up() -> None:
    """Nothing is delayed by a turn of the loop: frames 100 ms apart are processed as they arrive."""
    loop = Loop(cost_s=0.001)
    for frame in frames(5):
        loop.backlog.add(frame)
        assert loop.processed[-1] == [frame]
        loop.turn(0.1)
    assert len(loop.backlog) == 0
    assert loop.turn() == 0, "an idle stream schedules nothing"


def test_frames_take_20_ms_of_a_turn_and_the_rest_waits_in_order() -> None:
    """50 frames of 1/1024 s arrive at once: 21 begin in this turn, 21 in the next, then 8, in order."""
    loop = Loop(cost_s=1 / 1024)
    sent = frames(50)
    for frame in sent:
        loop.backlog.add(frame)
    assert loop.taken == sent[:21]
    assert loop.turn() == 1
    assert loop.taken == sent[:42]
    loop.turn()
    assert loop.taken == sent
    assert [len(call) for call in loop.processed] == [1] * 21 + [21, 8]


def test_a_frame_does_not_overtake_one_that_waits() -> None:
    """In a turn that still has time a new frame is queued behind the waiting ones."""
    loop = Loop(cost_s=0.015)
    sent = frames(4)
    for frame in sent[:3]:
        loop.backlog.add(frame)
    assert loop.taken == sent[:2]
    loop.backlog.add(sent[3])
    loop.turn()
    assert loop.taken == sent


def test_a_frame_longer_than_a_turn_is_completed() -> None:
    """The time of a turn limits how many frames begin, and one always does."""
    loop = Loop(cost_s=3.0)
    loop.backlog.add(b"1")
    loop.backlog.add(b"2")
    assert loop.processed == [[b"1"]]


def test_all_that_waits_is_dropped_when_the_oldest_has_waited_for_a_second() -> None:
    """What is processed is never older than a second and one turn; the next frame is processed at once."""
    loop = Loop(cost_s=1 / 1024)
    for frame in frames(30):
        loop.backlog.add(frame)
    loop.turn(1.1)
    assert loop.dropped == [9]
    assert loop.taken == frames(30)[:21]
    loop.backlog.add(b"new")
    assert loop.processed[-1] == [b"new"]


def test_a_wait_of_less_than_a_second_drops_nothing() -> None:
    """A short standstill of the process delays frames; it does not cost a book."""
    loop = Loop(cost_s=1 / 1024)
    for frame in frames(25):
        loop.backlog.add(frame)
    loop.turn(0.9)
    assert loop.dropped == []
    assert loop.taken == frames(25)


def test_a_closed_stream_forgets_what_waits() -> None:
    """Frames of a connection that was closed are not applied to the books of the next one."""
    loop = Loop(cost_s=0.03)
    for frame in frames(3):
        loop.backlog.add(frame)
    loop.backlog.clear()
    loop.turn()
    assert loop.processed == [[b"0"]]
