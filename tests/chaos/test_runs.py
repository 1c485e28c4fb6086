"""A slice of the fault schedules with the whole bot, and a cell of the crash matrix."""

import pytest

from tests.chaos.crashes import matrix
from tests.chaos.run import play
from tests.chaos.schedule import Injection, Schedule

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLICE = (
    Schedule(
        0,
        1,
        injections=(
            Injection("drop_after_accept"),
            Injection("user_feed_silent", lasts=200.0),
            Injection("kill_worker", on="unknown"),
            Injection("wire_reset", at=880.0),
            Injection("stream_silent", at=890.0, lasts=60.0),
        ),
    ),
)
"""Faults of the venue, the connection and a process in one market."""


@pytest.mark.parametrize("schedule", SLICE, ids=lambda schedule: schedule.text)
def test_a_schedule_violates_nothing(schedule: Schedule, tmp_path) -> None:
    """Every fault begins, the market is bought once, and every invariant holds."""
    outcome = play(schedule, tmp_path)
    assert outcome.violations == {}
    assert None not in outcome.began
    assert outcome.purchases >= 1


def test_a_kill_between_two_commands(tmp_path) -> None:
    """The venue executes an order that it refuses, and the worker is killed before it records the trade.

    The next worker finds it: the ledger equals the venue, and no withdrawal is booked.
    """
    cell = next(cell for cell in matrix() if cell.command == "halt" and "kill_worker" in cell.text)
    outcome = play(cell, tmp_path)
    assert outcome.violations == {}
    assert None not in outcome.began
