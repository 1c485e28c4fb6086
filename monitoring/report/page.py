"""The page: the sections in order, in one file without external resources."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from errors import Fatal
from execution.ledger import Position, TradeRow, WeightRow
from execution.venue_facts.store import PRACTICE, FactRow
from models import Frozen
from monitoring.funnel import Funnel
from monitoring.order_latency import StageLatency
from monitoring.performance_tracker import Performance
from monitoring.report.decision_text import DecisionEvidence, UntradedMarket
from monitoring.report.figures import result_plots
from monitoring.report.html import Markup, join, tag
from monitoring.report.sections import (
    calibration_section,
    equity_section,
    facts_section,
    funnel_section,
    groups_section,
    latency_section,
    open_section,
    plots_section,
    result_section,
    source_section,
    trades_section,
    weights_section,
)
from monitoring.report.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""The browser refuses scripts and requests, whatever a market's name contains."""


class Report(Frozen, frozen=True):
    """Content of a report.

    Attributes
    ----------
    title, period : str
        The profile, and the period.
    generated : datetime
        When the ledger was read, timezone-aware.
    account : Sequence[tuple[str, str]]
        (name, text) lines about cash and pending items.
    positions, weights : Sequence[Position], Sequence[WeightRow]
        Unsettled trades, and every change of a signal's weight, oldest first.
    evidence : Mapping[int, DecisionEvidence]
        Of the decisions of the last trades, by id.
    untraded : Sequence[UntradedMarket]
        The last markets without a trade, newest first.
    latencies : Sequence[StageLatency]
        Time from the quote to each step of the orders; empty without a traced order.
    facts, facts_venue : Sequence[FactRow], str
        The assumptions about the venue with their evidence, and which venue it is.
    """

    title: str
    period: str
    generated: datetime
    trades: Sequence[TradeRow]
    performance: Performance
    funnel: Funnel
    account: Sequence[tuple[str, str]]
    positions: Sequence[Position] = ()
    weights: Sequence[WeightRow] = ()
    evidence: Mapping[int, DecisionEvidence] = {}
    untraded: Sequence[UntradedMarket] = ()
    latencies: Sequence[StageLatency] = ()
    facts: Sequence[FactRow] = ()
    facts_venue: str = PRACTICE


def render(report: Report) -> str:
    """The report as one HTML document."""
    return document(
        report.title,
        (report.period, f"Read from the ledger at {report.generated:%Y-%m-%d %H:%M:%S %Z}."),
        (
            result_section(report.performance, list(report.account)),
            open_section(report.positions, report.generated),
            plots_section(result_plots(report.performance, report.trades, report.funnel)),
            trades_section(report.trades, report.evidence, report.untraded),
            equity_section(report.performance),
            calibration_section(report.trades),
            groups_section(report.performance),
            source_section(report.performance.by_source),
            weights_section(report.weights),
            funnel_section(report.funnel),
            latency_section(report.latencies),
            facts_section(report.facts, report.facts_venue),
        ),
    )


def document(
    title: str, lines: Sequence[str], sections: Sequence[Markup], *, reload_seconds: int | None = None
) -> str:
    """A page with a title, lines below it, and sections; without scripts and without network access.

    Parameters
    ----------
    reload_seconds : int or None
        Time after which the browser reads the page again; None for a page that is complete.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        join([] if reload_seconds is None else [tag("meta", http_equiv="refresh", content=reload_seconds)]),
        # Without it a browser requests an icon from the server.
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        # A style sheet is not HTML: escaped quotes would break it, and it contains no external text.
        tag("style", Markup(STYLE)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), *(tag("p", line, class_="soft") for line in lines)),
        tag("main", *sections),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def write(report: Report, path: Path) -> None:
    """Write the report to `path` atomically; raises `Fatal` if the file cannot be written."""
    write_page(render(report), path)


def write_page(html: str, path: Path) -> None:
    """Write a page to `path` atomically.

    Raises
    ------
    Fatal
        If the file cannot be written.
    """
    if path.is_dir():
        raise Fatal(f"{path} is a folder", "Name a file for --html")
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(html, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Fatal(
            f"{path} cannot be written: {error.strerror}", "Choose another file for --html"
        ) from error
