"""When a worker ends for a fresh one: right after a boundary, no order in flight, nothing unsettled."""

import msgspec
import pytest

from runtime.worker.planned_restart import RestartState, restart_reason

OLD = RestartState(
    second=10.0,
    market_s=900.0,
    in_flight=False,
    settling=False,
    switched_to=None,
    live_path=False,
    age_s=5401.0,
    restart_after_s=5400.0,
)


def test_an_old_worker_makes_place():
    """After RESTART_AFTER_MINUTES a fresh worker starts, and the reason names the time."""
    assert restart_reason(OLD) == "planned restart after 90 minutes"


def test_a_mode_switch_makes_place():
    """A switch of the mode takes effect in the next market, whatever the worker's age."""
    assert (
        restart_reason(msgspec.structs.replace(OLD, age_s=1.0, switched_to="live")) == "the mode is now live"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"age_s": 5400.0},
        {"in_flight": True},
        {"settling": True},
        {"second": 60.0},
        {"second": 719.0},
        {"second": 899.9},
        {"switched_to": "simulation", "in_flight": True},
        {"switched_to": "simulation", "second": 60.0},
        {"settling": True, "age_s": 5400.0 + 4 * 900},
        {"switched_to": "simulation", "live_path": True, "settling": True},
    ],
    ids=str,
)
def test_a_worker_stays(changes):
    """Too young, an order in flight, a result to come, or more than a minute into the market."""
    assert restart_reason(msgspec.structs.replace(OLD, **changes)) is None


def test_a_paper_worker_leaves_a_switch_to_live_at_once():
    """A paper position is also settled by the next worker: only the live path stays to settle."""
    state = msgspec.structs.replace(OLD, age_s=1.0, settling=True, switched_to="live")
    assert restart_reason(state) == "the mode is now live"


@pytest.mark.parametrize("second", [0.0, 59.9])
def test_only_the_first_minute_of_a_market_is_given_up(second):
    """From the boundary on, for sixty market seconds: spot path and price history are complete in the
    window."""
    assert restart_reason(msgspec.structs.replace(OLD, second=second)) is not None


def test_results_that_come_too_late_do_not_put_a_restart_off_for_ever():
    """Where each result comes after the first minute, as in five-minute markets, the next worker waits."""
    late = msgspec.structs.replace(OLD, settling=True, market_s=300.0, age_s=5400.0 + 4 * 300 + 1)
    assert restart_reason(late) == "planned restart after 90 minutes"
    assert restart_reason(msgspec.structs.replace(late, second=60.0)) is None
    assert restart_reason(msgspec.structs.replace(late, in_flight=True)) is None
