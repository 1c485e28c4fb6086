"""Compares the screen of a sweep with the backtest engine: the same points, results and machine.

Ratio of the time per point, in one run: the engine for a few points of a grid of 64, the screen for all of
them, its market states included. Exit code 1 if a result differs or the ratio is below 20.

    python benchmarks/sweep_screen.py
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks.results import Measurement, ratio_at_most
from config import Settings
from models import Frozen
from research.sweep.grid import grid, settings_of
from research.sweep.points import backtest_point
from research.sweep.screen import difference, screen
from research.sweep.sources import Recordings, Source

SETS = (
    "TREND_UP_THRESHOLD=0.6,0.7,0.8,0.9",
    "FUSION_MIN_SCORE=20,40",
    "MAX_SLIPPAGE=0.01,0.02",
    "REQUIRE_SIGNAL_AGREEMENT=true,false",
    "TRADE_WINDOW_START=720,780",
)
LEAST_RATIO = 20


class Comparison(Frozen, frozen=True):
    """Processor seconds per point, and the differences of the results."""

    markets: int
    screened: int
    engine_points: int
    screen_s: float
    engine_s: float
    found: list[str | None]


def compare(recordings: str, engine_points: int) -> Comparison:
    """Run all points on the screen and a few on the engine."""
    markets = Recordings(Source(path=recordings, timeframe=Settings().market_timeframe))
    points = grid(Settings(), SETS).points
    every = [settings_of(point.settings) for point in points]
    chosen = [len(every) * number // engine_points for number in range(engine_points)]
    # Processor time: other programs of the machine do not change it.
    began = time.process_time()
    screened = screen(markets, every)
    screen_s = (time.process_time() - began) / len(every)
    began = time.process_time()
    engine = [backtest_point(markets, every[number]) for number in chosen]
    engine_s = (time.process_time() - began) / len(chosen)
    found = [difference(screened[number], result) for number, result in zip(chosen, engine, strict=True)]
    return Comparison(len(markets.slugs), len(every), len(chosen), screen_s, engine_s, found)


def measure() -> Sequence[Measurement]:
    """The short form, for `./bot bench`: one point on the engine."""
    compared = compare("bundled", engine_points=1)
    if any(compared.found):
        raise RuntimeError(f"the screen's results differ from the engine's: {compared.found}")
    return [
        Measurement(
            name="sweep",
            what=f"processor time of a point of {compared.markets} markets on the screen",
            value=compared.screen_s,
            unit="s",
            reference=compared.engine_s,
            reference_name="backtest engine",
            target=ratio_at_most(1 / LEAST_RATIO),
        )
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recordings", default="bundled", metavar="bundled|PATH")
    parser.add_argument("--engine-points", type=int, default=3, metavar="N", help="points on the engine")
    options = parser.parse_args()
    compared = compare(options.recordings, options.engine_points)
    ratio = compared.engine_s / compared.screen_s
    table = Table("", "points", "s per point")
    table.add_row("engine", str(compared.engine_points), f"{compared.engine_s:.3f}")
    table.add_row("screen", str(compared.screened), f"{compared.screen_s:.4f}")
    console = Console()
    console.print(table)
    console.print(
        f"{compared.markets} markets; the screen is {ratio:.1f} times as fast; differences: {compared.found}"
    )
    return 0 if ratio >= LEAST_RATIO and not any(compared.found) else 1


if __name__ == "__main__":
    sys.exit(main())
