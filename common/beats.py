"""One wake-up of an event loop for everything that it does regularly."""

import asyncio

SHORTEST_S = 0.01
"""A timer may end some milliseconds before its time: the next beat is then the one after it."""


async def next_beat(every_s: float) -> None:
    """Wait until the time of the event loop is a multiple of an interval.

    Tasks with the same interval, or with one that divides the other, wake up together: a wake-up costs more
    than what most of them do.
    """
    now_s = asyncio.get_running_loop().time()
    pause_s = every_s - now_s % every_s
    await asyncio.sleep(pause_s if pause_s >= SHORTEST_S else pause_s + every_s)
