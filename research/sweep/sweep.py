"""Computes a sweep: what is missing in the folder, on the chosen engine, and the winners of all of it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from config import Settings
from errors import Fatal
from models import Frozen
from research.recordings.selection import Defects
from research.sweep.grid import Grid, Point, grid, settings_of
from research.sweep.points import Job, compute
from research.sweep.pools import compute_on_dask, compute_on_processes
from research.sweep.progress import show_progress
from research.sweep.results import (
    Engine,
    PointResult,
    ResultFolder,
    code_version,
    point_key,
)
from research.sweep.screen import difference, screen
from research.sweep.sources import Recordings, Source
from research.sweep.table import Sweep
from research.sweep.winners import Winner, check_folds, totals, winners


class SweepOptions(Frozen, frozen=True):
    """What to compute, and where.

    Attributes
    ----------
    path : str
        `bundled`, or a path of recordings.
    defects, era
        As in `Selection`.
    sets : tuple of str
        NAME=VALUE,VALUE each.
    folds : int
        Walk-forward folds; 0 for none.
    workers : int
        Processes of the pool, if there is no scheduler.
    scheduler : str or None
        Address of a Dask scheduler.
    sample : int or None
        Points of a screened sweep that are repeated on the engine besides the winners; None: no screen.
    folder : Path
        Where results are kept.
    """

    path: str
    defects: Defects
    era: str | None
    sets: tuple[str, ...]
    folds: int
    workers: int
    scheduler: str | None
    sample: int | None
    folder: Path


def sweep(options: SweepOptions, settings: Settings) -> Sweep:
    """Compute a sweep.

    Raises
    ------
    Fatal
        For an invalid option, a failed worker, or a screen that differs from the engine.
    """
    points = grid(settings, options.sets)
    source = Source(
        path=options.path,
        timeframe=points.points[0].settings["MARKET_TIMEFRAME"],
        defects=options.defects,
        era=options.era,
    )
    markets = Recordings(source)
    check_folds(options.folds, len(markets.slugs))
    run = _SweepRun(options, points, source, markets)
    return run.screened() if options.sample is not None else run.backtested()


class _SweepRun:
    """The results of one grid: those of the folder, and those that are computed now."""

    def __init__(self, options: SweepOptions, points: Grid, source: Source, markets: Recordings) -> None:
        self._options = options
        self._grid = points
        self._markets = markets
        self._job = Job(source=source, recordings=markets.content, code=code_version())
        self._folder = ResultFolder(options.folder)

    def backtested(self) -> Sweep:
        """Every point on the backtest engine."""
        return self._sweep(self._backtest(self._grid.points), ())

    def screened(self) -> Sweep:
        """Every point on the screen; a sample and all winners again on the backtest engine.

        Raises
        ------
        Fatal
            If a result differs.
        """
        results = self._screen()
        sample = self._sample(self._winners(results))
        repeated = self._backtest([self._grid.points[number] for number in sample])
        for number, result in zip(sample, repeated, strict=True):
            found = difference(results[number].markets, result.markets)
            if found is not None:
                point = self._grid.label(self._grid.points[number])
                raise Fatal(
                    f"the screen differs from the engine at the point {point}: {found}",
                    "Run the sweep without --screen, and report this",
                )
        note = (
            f"Screened on the strategy brain. Repeated on the engine, with equal decisions and P&L:"
            f" {len(sample)} of {len(results)} points, among them every winner."
        )
        return self._sweep(results, (note,))

    def _sample(self, found: Sequence[Winner]) -> list[int]:
        """The numbers of the winners, and of points spread evenly over the grid."""
        count, wanted = len(self._grid.points), min(self._options.sample or 0, len(self._grid.points))
        spread = {count * number // wanted for number in range(wanted)} if wanted else set()
        return sorted(spread | {winner.point for winner in found})

    def _screen(self) -> list[PointResult]:
        missing = self._missing(self._grid.points, Engine.SCREEN)
        with show_progress(len(self._markets.slugs) if missing else 0, "markets") as advance:
            settings = [settings_of(point.settings) for point in missing]
            found = screen(self._markets, settings, advance) if missing else []
        for point, markets in zip(missing, found, strict=True):
            self._folder.store(
                PointResult(
                    settings=point.settings,
                    recordings=self._job.recordings,
                    code=self._job.code,
                    engine=Engine.SCREEN,
                    markets=markets,
                )
            )
        return self._stored(self._grid.points, Engine.SCREEN)

    def _backtest(self, points: Sequence[Point]) -> list[PointResult]:
        missing = self._missing(points, Engine.BACKTEST)
        with show_progress(len(points), "points", done=len(points) - len(missing)) as advance:

            def store(result: PointResult) -> None:
                self._folder.store(result)
                advance()

            options, label, work = self._options, self._grid.label, partial(compute, self._job)
            if missing and options.scheduler is not None:
                compute_on_dask(work, missing, options.scheduler, store, label)
            elif missing:
                compute_on_processes(work, missing, options.workers, store, label)
        return self._stored(points, Engine.BACKTEST)

    def _missing(self, points: Sequence[Point], engine: Engine) -> list[Point]:
        return [point for point in points if self._folder.load(self._key(point, engine)) is None]

    def _stored(self, points: Sequence[Point], engine: Engine) -> list[PointResult]:
        found = [self._folder.load(self._key(point, engine)) for point in points]
        return [result for result in found if result is not None]

    def _key(self, point: Point, engine: Engine) -> str:
        return point_key(point.settings, self._job.recordings, self._job.code, engine)

    def _winners(self, results: Sequence[PointResult]) -> list[Winner]:
        """The winners; the other combinations of the folder count as trials."""
        own = [point.settings for point in self._grid.points]
        others = [trial for trial in self._folder.trials(self._job.recordings) if trial.settings not in own]
        return winners(results, others, self._options.folds)

    def _sweep(self, results: Sequence[PointResult], notes: tuple[str, ...]) -> Sweep:
        return Sweep(
            source=self._options.path,
            grid=self._grid,
            totals=tuple(totals(result.markets) for result in results),
            winners=tuple(self._winners(results)),
            notes=(self._markets.note, *notes),
        )
