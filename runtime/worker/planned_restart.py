"""Decides when a worker ends so that a fresh one can start. Pure: no clock, no process."""

from models import Frozen

RESTART_MARGIN = 60.0
"""Market seconds before the trade window within which a worker does not restart."""


class RestartState(Frozen, frozen=True):
    """The inputs of the decision to restart, at one instant.

    Attributes
    ----------
    second : float
        Market second of the running market; 0 between markets.
    window_start : float
        Market second at which the trade window opens.
    in_flight : bool
        Whether an order is waiting for its answer.
    settling : bool
        Whether an official result is expected soon. A market that the venue does not settle in time is also
        settled by a later worker.
    switched_to : str or None
        The mode that this run has been switched to in an earlier market; None without a switch.
    live_path : bool
        Whether this worker's orders are live ones: it settles what it bought before it ends.
    age_s, restart_after_s : float
        Wall seconds since the start, and those after which a fresh worker starts.
    """

    second: float
    window_start: float
    in_flight: bool
    settling: bool
    switched_to: str | None
    live_path: bool
    age_s: float
    restart_after_s: float


def restart_reason(state: RestartState) -> str | None:
    """Why a fresh worker has to start now, between two markets; None if it does not."""
    if state.in_flight or state.second >= state.window_start - RESTART_MARGIN:
        return None
    if state.switched_to is not None and not (state.live_path and state.settling):
        return f"the mode is now {state.switched_to}"
    if state.age_s > state.restart_after_s and not state.settling:
        return f"planned restart after {state.restart_after_s / 60:g} minutes"
    return None
