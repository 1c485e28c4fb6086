"""When a worker makes place for a fresh one: between markets, nothing in flight, nothing unsettled."""

import msgspec
import pytest

from runtime.worker.planned_restart import RestartState, restart_reason

OLD = RestartState(
    second=100.0,
    window_start=780.0,
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
        {"second": 720.0},
        {"switched_to": "simulation", "in_flight": True},
        {"switched_to": "simulation", "second": 720.0},
        {"switched_to": "simulation", "live_path": True, "settling": True},
    ],
    ids=str,
)
def test_a_worker_stays(changes):
    """Too young, an order in flight, a result to come, or a window that opens within 60 market seconds."""
    assert restart_reason(msgspec.structs.replace(OLD, **changes)) is None


def test_a_paper_worker_leaves_a_switch_to_live_at_once():
    """A paper position is settled by the next worker as well: only the live path stays to settle."""
    state = msgspec.structs.replace(OLD, age_s=1.0, settling=True, switched_to="live")
    assert restart_reason(state) == "the mode is now live"
