"""The sections of the report: results, open positions, plots, trades, equity, calibration, groups, sources,
funnel, latency."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from execution.ledger import Position, TradeRow, WeightRow
from execution.venue_facts.store import FactRow
from monitoring.funnel import Funnel
from monitoring.order_latency import StageLatency
from monitoring.performance_tracker import Group, Performance, SourceResult
from monitoring.report.calibration import CalibrationBin, by_model, by_price
from monitoring.report.decision_table import last_trades, untraded_markets
from monitoring.report.decision_text import DecisionEvidence, UntradedMarket
from monitoring.report.fact_lines import VENUE_NAMES, sighting_text, summary
from monitoring.report.html import DASH, Markup, join, table, tag
from monitoring.report.latency_rows import HEADINGS, NOTE, TITLE, latency_rows
from monitoring.report.plots import side_by_side
from monitoring.report.text_lines import (
    Lines,
    decisions_line,
    duration,
    funnel_rows,
    performance_lines,
    readable_name,
    statistics_lines,
)
from monitoring.statistics import Statistics

NEWEST = 1000
"""Number of trades listed individually; the ledger has all of them."""
NONE_SETTLED = "No settled trade yet."


def result_section(found: Performance, account: Lines) -> Markup:
    """The statistics, the performance and the account, as text."""
    *lines, (_, conclusion) = statistics_lines(found.total)
    every = [*lines, *performance_lines(found), *account]
    return section(
        "Result",
        tag("p", tag("strong", conclusion), class_="conclusion"),
        tag(
            "dl", *(tag(kind, text) for line in every for kind, text in zip(("dt", "dd"), line, strict=True))
        ),
    )


def open_section(positions: Sequence[Position], now: datetime) -> Markup:
    """Unsettled trades, valued at the market's implied probability; empty without any."""
    if not positions:
        return join(())
    rows = [
        (
            *(found.trade.slug, found.trade.side.value, f"{found.trade.shares.normalize():f}"),
            f"{found.trade.cost + found.trade.fee:.4f}",
            *(DASH if value is None else value for value in _marked(found)),
            "PENDING",
            _waiting(found, now),
        )
        for found in positions
    ]
    headings = ("market", "side", "shares", "paid", "market's chance", "worth", "so far", "outcome", "waits")
    return section(
        "Open positions",
        tag(
            "p",
            "Their value at the market's last price is an estimate and is not included in any other number.",
        ),
        table(headings, rows, caption="Trades without an official outcome", text=(0, 1, 7, 8)),
    )


def _marked(found: Position) -> tuple[str | None, str | None, str | None]:
    if found.value is None:
        return None, None, None
    return f"{found.chance:.1%}", f"{found.value:.4f}", f"{found.unrealised:+.4f}"


def _waiting(found: Position, now: datetime) -> str:
    waited = now.timestamp() - found.trade.end_ns / 1e9
    if waited <= 0:
        return "its market runs"
    return f"{duration(waited)}{': ' if found.delay else ''}{found.delay}"


def plots_section(figures: Sequence[Markup]) -> Markup:
    """All plots of a report, side by side where there is room; empty without any."""
    return section("Plots", side_by_side(figures)) if figures else join(())


def equity_section(found: Performance) -> Markup:
    if not found.total.n:
        return section("Equity", empty(NONE_SETTLED))
    rows = [
        ("start", f"{found.starting:.3f}"),
        ("now", f"{found.equity:.3f}"),
        ("highest", f"{max(point.equity for point in found.curve):.3f}"),
        ("lowest", f"{min(point.equity for point in found.curve):.3f}"),
        ("largest fall from a peak", f"{found.drawdown.amount:.3f}"),
    ]
    return section(
        "Equity",
        table(("equity", "pUSD"), rows, caption="Starting balance and the P&L of settled trades, after fees"),
    )


def calibration_section(trades: Sequence[TradeRow]) -> Markup:
    """Calibration of the prices paid and of the modelled probabilities."""
    paid, modelled = by_price(trades), by_model(trades)
    if not paid:
        return section("Calibration", empty(NONE_SETTLED))
    parts = [
        tag("h3", "The price paid, as a chance"),
        _calibration_table(paid, "Share won by price paid"),
        tag("h3", "The modelled fair probability"),
    ]
    if modelled:
        parts.append(_calibration_table(modelled, "Share won by modelled probability"))
    else:
        parts.append(
            empty("No settled trade has a modelled probability: it needs a spot price and a strike.")
        )
    return section("Calibration", *parts)


def _calibration_table(bins: Iterable[CalibrationBin], caption: str) -> Markup:
    rows = [
        (
            f"{found.chance:.1%}",
            str(found.n),
            str(found.markets),
            f"{found.won:.1%}",
            f"{found.low:.1%} to {found.high:.1%}",
            "yes" if found.low <= found.chance <= found.high else "no",
        )
        for found in bins
    ]
    headings = ("implied chance", "n", "markets", "won", "95 % interval", "chance inside")
    return table(headings, rows, caption=caption)


def groups_section(found: Performance) -> Markup:
    """The result by price band and by side."""
    if not found.total.n:
        return section("By price and side", empty(NONE_SETTLED))
    shown = [group for group in (*found.by_price, *found.by_side, *found.by_series) if group.statistics.n]
    return section(
        "By price and side",
        _groups_table(found.by_price, "price paid", "Result by price band"),
        _groups_table(found.by_side, "side", "Result by side"),
        _groups_table(found.by_version, "protocol version", "Result by protocol version of the market"),
        *(
            [_groups_table(found.by_series, "series", "Result by asset and length of the market")]
            if found.by_series
            else []
        ),
        tag(
            "p",
            f"With {len(shown)} groups compared, one in twenty is expected to look significant by chance"
            " alone.",
            class_="soft",
        ),
    )


STATISTICS_HEADINGS = (
    *("n", "markets", "pending", "won", "95 % interval", "break-even", "mean price"),
    *("P&L", "mean P&L, 95 % interval", "conclusion"),
)


def _groups_table(groups: Iterable[Group], what: str, caption: str) -> Markup:
    rows = [(group.name, *_statistics_cells(group.statistics)) for group in groups]
    return table((what, *STATISTICS_HEADINGS), rows, caption=caption, text=(0, len(STATISTICS_HEADINGS)))


def _statistics_cells(numbers: Statistics) -> tuple[str, ...]:
    counts = (str(numbers.n), str(numbers.markets), str(numbers.pending))
    if numbers.win_rate is None:
        return (*counts, *[DASH] * 6, _short(numbers.conclusion))
    return (
        *counts,
        f"{numbers.win_rate:.1%}",
        f"{numbers.wilson_low:.1%} to {numbers.wilson_high:.1%}",
        f"{numbers.break_even:.1%}",
        f"{numbers.mean_price:.3f}",
        f"{numbers.pnl:+.3f}",
        f"{numbers.mean_pnl:+.4f} ({numbers.mean_pnl_low:+.4f} to {numbers.mean_pnl_high:+.4f})",
        _short(numbers.conclusion),
    )


def _short(conclusion: str) -> str:
    """The first part of a conclusion: the complete sentence is at the top of the page."""
    return conclusion.split(":", 1)[0].lower()


def source_section(sources: Sequence[SourceResult]) -> Markup:
    """The votes of each signal source against the market's price, and the trades in their direction and
    against."""
    if not sources:
        return section("By signal", empty("No directional vote in a settled market yet."))
    votes = [
        (
            *(found.source, str(found.n), str(found.markets), f"{found.accuracy:.1%}"),
            *(f"{found.low:.1%} to {found.high:.1%}", f"{found.expected:.1%}", f"{found.p_value:.2g}"),
            found.conclusion,
        )
        for found in sources
    ]
    trades = [
        (f"{found.source}, {label}", *_statistics_cells(numbers))
        for found in sources
        for label, numbers in (("for", found.backed), ("against", found.opposed))
    ]
    return section(
        "By signal",
        tag(
            "p",
            "A vote is right if its direction was the outcome's, whether or not it was traded. A source"
            " that only"
            " repeats the market's price is right as often as that price implies, so its accuracy is"
            " compared with that rate.",
        ),
        table(
            ("signal", "n", "markets", "right", "95 % interval", "market's price", "p", "conclusion"),
            votes,
            caption="Votes in settled markets, also where nothing was bought",
            text=(0, 7),
        ),
        table(
            ("signal's vote", *STATISTICS_HEADINGS),
            trades,
            caption="Trades in the direction of the vote, and against it",
            text=(0, len(STATISTICS_HEADINGS)),
        ),
    )


def weights_section(weights: Sequence[WeightRow]) -> Markup:
    """Every change of a signal's weight, newest first; empty without any."""
    if not weights:
        return join(())
    rows = [
        (
            f"{datetime.fromtimestamp(row.ts_ns // 10**9, UTC):%Y-%m-%d %H:%M}",
            f"{row.series} {row.source}".lstrip(),
            str(row.markets),
            f"{row.before:.4f}",
            f"{row.after:.4f}",
            f"{row.after - row.before:+.4f}",
        )
        for row in reversed(weights[-NEWEST:])
    ]
    return section(
        "Weights",
        tag(
            "details",
            tag("summary", "Show each adjustment"),
            table(
                ("time, UTC", "signal", "from markets", "before", "after", "change"),
                rows,
                caption="Changes of the signals' weights, newest first",
                text=(0, 1),
            ),
        ),
    )


def funnel_section(found: Funnel) -> Markup:
    """Markets by stage reached, and every refusal reason with its count."""
    seen = found.stages[0].markets
    if not seen:
        return section("Funnel", empty("No market seen yet."))
    rows = [
        (
            stage,
            str(markets),
            f"{markets / seen:.0%}",
            stops,
        )
        for stage, markets, stops in funnel_rows(found)
    ]
    return section(
        "Funnel",
        tag(
            "p",
            "Each market is counted once, at the furthest stage it reached, with the reasons that stopped"
            " the others.",
        ),
        table(
            ("stage", "markets", "of seen", "stopped on the way"),
            rows,
            caption="Markets from seen to redeemed",
            text=(0, 3),
        ),
        tag("p", decisions_line(found).capitalize() + ".", class_="soft"),
        tag(
            "details",
            tag("summary", "Every named refusal"),
            table(("decision", "count"), _counted(found.decisions), caption="Decisions, tries included"),
            table(("order", "count"), _counted(found.orders), caption="Orders by the state they are in"),
        ),
    )


def _counted(counts: dict[str, int]) -> list[tuple[str, str]]:
    return [(readable_name(name), str(count)) for name, count in counts.items()]


def trades_section(
    trades: Sequence[TradeRow],
    evidence: Mapping[int, DecisionEvidence],
    untraded: Sequence[UntradedMarket] = (),
) -> Markup:
    """The last trades and the last markets without one, with the reason of each decision.

    Parameters
    ----------
    trades : Sequence[TradeRow]
        Oldest first.
    evidence : Mapping[int, DecisionEvidence]
        Of the last trades, by decision id.
    untraded : Sequence[UntradedMarket]
        Newest first.
    """
    parts = [last_trades(trades, evidence), _every_trade(trades)] if trades else [empty("No trade yet.")]
    if untraded:
        parts += [tag("h3", "Markets without a trade"), untraded_markets(untraded)]
    return section("Trades", *parts)


def _every_trade(trades: Sequence[TradeRow]) -> Markup:
    """The newest trades as one line each."""
    newest = list(reversed(trades[-NEWEST:]))
    rows = [
        (
            f"{datetime.fromtimestamp(trade.created_ns // 10**9, UTC):%Y-%m-%d %H:%M}",
            trade.slug if trade.kind is None else f"{trade.slug} {trade.kind}",
            trade.side.value,
            f"{trade.cost:.2f}",
            f"{trade.ask:.3f}",
            f"{trade.price:.3f}",
            f"{trade.fee:.4f}",
            DASH if trade.score is None else f"{trade.score:.1f}",
            trade.outcome.value,
            DASH if trade.pnl is None else f"{trade.pnl:+.3f}",
        )
        for trade in newest
    ]
    what = f"the newest {NEWEST:,} of {len(trades):,}" if len(trades) > NEWEST else f"all {len(trades):,}"
    return tag(
        "details",
        tag("summary", f"Show {what}"),
        table(
            ("time, UTC", "market", "side", "stake", "ask", "price", "fee", "score", "outcome", "P&L"),
            rows,
            caption=f"Trades, {what}, newest first",
            text=(0, 1, 2, 8),
        ),
    )


def latency_section(latencies: Sequence[StageLatency]) -> Markup:
    """The time from the quote to each step of the orders; empty without a traced order."""
    if not latencies:
        return join(())
    return section(
        TITLE,
        tag("p", NOTE),
        table(HEADINGS, latency_rows(latencies), caption="Milliseconds from the quote to a step"),
    )


def facts_section(facts: Sequence[FactRow], venue: str) -> Markup:
    """The assumptions about the venue with their evidence; empty without any."""
    if not facts:
        return join(())
    rows = [
        (
            row.record.status.value,
            row.fact.claim.replace("`", ""),
            sighting_text(row),
            DASH if row.record.sighting is None else row.record.sighting.raw or DASH,
        )
        for row in facts
    ]
    return section(
        "Venue facts",
        tag(
            "p",
            "What the bot assumes about the venue, and the observation that confirms or contradicts it.",
        ),
        tag("p", tag("strong", summary(facts, venue)), class_="conclusion"),
        tag(
            "details",
            tag("summary", f"Show all {len(rows)}"),
            table(
                ("status", "assumption", "evidence", "raw message"),
                rows,
                caption=f"Assumptions about {VENUE_NAMES[venue]}",
                text=(0, 1, 2, 3),
            ),
        ),
    )


def section(title: str, *parts: Markup) -> Markup:
    """A section with a heading; its id is the title in lower case with hyphens."""
    name = title.lower().replace(" ", "-")
    heading = tag("h2", title, id=f"heading-{name}")
    return tag("section", heading, join(parts), id=name, aria_labelledby=f"heading-{name}")


def empty(text: str) -> Markup:
    """The text in the place of a plot or table without data."""
    return tag("p", text, class_="empty")
