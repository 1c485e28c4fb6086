"""Regular work of one event loop shares its wake-ups."""

import asyncio

from common import beats


def test_beats_are_multiples_of_their_interval(monkeypatch) -> None:
    """Also after a timer that ended early; intervals that divide each other meet."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    async def pauses(at_s: float, every_s: float) -> float:
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: at_s, raising=False)
        monkeypatch.setattr(beats.asyncio, "sleep", sleep)
        try:
            await beats.next_beat(every_s)
        finally:
            monkeypatch.undo()
        return slept[-1]

    async def run() -> list[float]:
        return [
            await pauses(100.25, 1.0),
            await pauses(100.0, 1.0),
            await pauses(100.9995, 1.0),
            await pauses(100.3, 0.25),
            await pauses(100.749, 0.25),
        ]

    assert asyncio.run(run()) == [0.75, 1.0, 1.0005, 0.2, 0.251]
