"""Put on PYTHONPATH by `SettableClock`.

libfaketime refuses Python's own sleep, until a time of a monotonic clock, while it leaves those clocks alone.
"""

import select
import time


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep
