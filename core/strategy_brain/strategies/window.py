"""When in a market's life a decision may be taken."""


def in_window(second: float, start: float, end: float) -> bool:
    """Whether a market second (0 to 900) lies in the decision window: start included, end not."""
    return start <= second < end
