"""The page of a backtest: its sections in order, and the page shown while it runs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from errors import BotError, Fatal
from monitoring.report import document, write_page
from monitoring.report.html import Markup, tag
from monitoring.report.sections import (
    calibration_section,
    funnel_section,
    plots_section,
    section,
    source_section,
    trades_section,
)
from research.report.edge import FillRate, edge
from research.report.figures import edge_by_price, edge_by_second, result_plots
from research.report.run_reader import RunResults
from research.report.sections import (
    ablation_section,
    conclusion,
    equity_section,
    gap_section,
    groups_section,
    left_out_text,
    markets_section,
    method_section,
    result_section,
    sample_section,
)

TITLE = "BACKTEST (simulation)"
RELOAD_S = 2


def render(
    run: RunResults,
    source: str,
    *,
    recorded: int,
    left_out: Mapping[str, str] | None = None,
    own_rates: Sequence[FillRate] = (),
    errors: Sequence[str] = (),
) -> str:
    """The report as one HTML document. The same run gives the same bytes.

    Parameters
    ----------
    source : str
        Where the recordings are from.
    recorded : int
        All markets of the recordings, those left out included.
    left_out : Mapping[str, str] or None
        The reason for each recorded market that was not part of the run, by slug.
    own_rates : Sequence[FillRate]
        How often the user's own bot traded. The last one is used in the conclusion, instead of the run's.
    errors : Sequence[str]
        Why the rate of the user's own bot is not known.
    """
    found, left_out = edge(run.trades), left_out or {}
    rates = [rate for rate in (run.fill_rate, *own_rates) if rate is not None]
    by_price, by_second = edge_by_price(run), edge_by_second(run)
    result = conclusion(len(run.markets), found, rates[-1] if rates else None)
    return document(
        TITLE,
        (source, run.note, _period(run)),
        (
            result_section(result, left_out_text(recorded, left_out, run.funnel), found, run),
            plots_section(result_plots(run, [*by_price, *by_second])),
            sample_section(found, rates, errors),
            markets_section(run, left_out),
            equity_section(run),
            gap_section(run),
            groups_section(by_price, by_second),
            calibration_section(run.trades),
            ablation_section(found, run.ablations),
            source_section(run.performance.by_source),
            funnel_section(run.funnel),
            trades_section(run.trades, run.evidence, run.untraded),
            method_section(run.params),
        ),
    )


def _period(run: RunResults) -> str:
    if not run.markets:
        return "No market."
    markets = sorted(run.markets.values(), key=lambda market: market.start)
    first, last = (datetime.fromtimestamp(when, UTC) for when in (markets[0].start, markets[-1].end))
    return f"Markets from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC."


@contextmanager
def progress_page(
    path: Path | None, total: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[], None]]:
    """Write a page that shows the progress and reloads itself, until the report replaces it.

    Yields a function to be called after each market. If the run fails, the page contains the error.

    Parameters
    ----------
    path : Path or None
        Where the report will be; None for no page.
    total : int
        Number of markets.
    clock : Callable[[], float]
        Seconds, for the elapsed time.

    Raises
    ------
    Fatal
        If the file cannot be written.
    """
    if path is None:
        yield _nothing
        return
    page = _ProgressPage(path, total, clock)
    page.write()
    try:
        yield page.advance
    except BaseException as error:
        # The failure itself is more important than one to show it.
        with suppress(Fatal):
            page.write_failure(error)
        raise


def _nothing() -> None:
    """There is no page."""


class _ProgressPage:
    def __init__(self, path: Path, total: int, clock: Callable[[], float]) -> None:
        self._path = path
        self._total = total
        self._clock = clock
        self._done = 0
        self._started = self._written = clock()

    def advance(self) -> None:
        """Count a market; the page is written at most once a second."""
        self._done += 1
        if self._clock() - self._written >= 1:
            self.write()

    def write(self) -> None:
        self._written = self._clock()
        elapsed = self._written - self._started
        text = f"{self._done:,} of {self._total:,} markets, {elapsed:.0f} s elapsed"
        if self._done:
            text += f", about {elapsed / self._done * (self._total - self._done):.0f} s left"
        share = self._done / self._total if self._total else 1.0
        bar = tag("span", class_="bar", style=f"width:{100 * share:.1f}%")
        self._write(
            tag("p", tag("strong", text)),
            tag("span", bar, class_="track", aria_hidden="true"),
            tag("p", "The report replaces this page when the run has ended.", class_="soft"),
            reload_seconds=RELOAD_S,
        )

    def write_failure(self, error: BaseException) -> None:
        what = str(error) if isinstance(error, BotError) else type(error).__name__
        text = f"The run ended after {self._done:,} of {self._total:,} markets: {what}"
        self._write(tag("p", tag("strong", text), class_="conclusion"), reload_seconds=None)

    def _write(self, *parts: Markup, reload_seconds: int | None) -> None:
        body = section("Progress", *parts)
        write_page(document(TITLE, (), (body,), reload_seconds=reload_seconds), self._path)
