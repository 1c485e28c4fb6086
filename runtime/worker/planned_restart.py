"""Decides when a worker ends so that a fresh one can start. Pure: no clock, no process."""

from models import Frozen

RESTART_WITHIN = 60.0
"""Market seconds after a boundary within which a worker may be replaced: the next one observes almost the
whole market."""
BEFORE_WINDOW = 120.0
"""Market seconds before a decision window from which a worker is not replaced: the next one needs the prices
before the window."""
LONGEST_WAIT_MARKETS = 4
"""Maximum number of markets by which a restart is postponed to wait for results; then the next worker waits
for them. The results of five-minute markets come later than `RESTART_WITHIN`."""


class RestartState(Frozen, frozen=True):
    """The inputs of the decision to restart, at one instant.

    Attributes
    ----------
    second : float
        Market second of the running market; 0 between markets. With several series, of the shortest markets.
    market_s : float
        Length of a market, wall seconds.
    in_flight : bool
        Whether an order is waiting for its answer.
    settling : bool
        Whether the official result of a bought market is expected soon. The next worker also waits for a late
        one, and for those of markets with a decision only.
    switched_to : str or None
        The mode that this run has been switched to in an earlier market; None without a switch.
    live_path : bool
        Whether this worker's orders are live ones: it settles what it bought before it ends.
    age_s, restart_after_s : float
        Wall seconds since the start, and those after which a fresh worker starts.
    disturbs : bool
        Whether a restart would cost another series its decision.
    """

    second: float
    market_s: float
    in_flight: bool
    settling: bool
    switched_to: str | None
    live_path: bool
    age_s: float
    restart_after_s: float
    disturbs: bool = False


def restart_reason(state: RestartState) -> str | None:
    """Why a fresh worker has to start now, between two markets; None if it does not."""
    if state.in_flight or state.disturbs or not 0 <= state.second < RESTART_WITHIN:
        return None
    if state.switched_to is not None and not (state.live_path and state.settling):
        return f"the mode is now {state.switched_to}"
    overdue_s = state.age_s - state.restart_after_s
    if overdue_s > (LONGEST_WAIT_MARKETS * state.market_s if state.settling else 0.0):
        return f"planned restart after {state.restart_after_s / 60:g} minutes"
    return None


def allows_restart(second: float, window: tuple[float, float]) -> bool:
    """Whether a market that is at this market second still gets its decision if the worker is replaced now.

    Parameters
    ----------
    window : tuple[float, float]
        Start and end of the decision window, market seconds.
    """
    return not window[0] - BEFORE_WINDOW <= second < window[1]
