"""The decision window."""


def in_window(second: float, start: float, end: float) -> bool:
    """Whether a market second (0 to 900) is in the decision window: start inclusive, end exclusive."""
    return start <= second < end
