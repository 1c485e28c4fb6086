"""The sections of a backtest's report: result, sample, markets, equity, gap, groups, processors."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from models import BrainParams, Market
from monitoring.funnel import Funnel, Stage
from monitoring.report.html import DASH, Markup, table, tag
from monitoring.report.sections import NONE_SETTLED, empty, section
from monitoring.report.text_lines import performance_lines, readable_name, statistics_lines
from monitoring.statistics import EDGE_WORTH_FINDING, LEAST_OF_EACH, required_markets
from research.report.ablation import Ablation
from research.report.edge import (
    Edge,
    Estimate,
    FillRate,
    detectable,
    edge,
    gap,
    pnl_by_market,
)
from research.report.figures import GroupEdge
from research.report.run_reader import RunResults

EDGES = (0.01, 0.02, 0.03, 0.05)
"""Edges whose required sample is shown."""
NAMES = {"Edge": "Edge at any time"}
"""Names of performance lines that would be mistaken for another value of the page."""
HEADINGS = (
    *("n", "markets", "won", "95 % interval", "break-even"),
    *("edge before fees, 95 % interval", "edge after fees, 95 % interval", "P&L"),
)


# --- result ----------------------------------------------------------------------------------------


def conclusion(markets: int, found: Edge | None, rate: FillRate | None) -> str:
    """The result of a run in plain words.

    Parameters
    ----------
    markets : int
        Markets of the run.
    found : Edge or None
        Of all settled trades.
    rate : FillRate or None
        Used for the days until there are enough trades.
    """
    if found is None:
        return f"{_count(markets, 'market')}, no settled trade: nothing can be concluded."
    numbers = found.numbers
    what = f"{_count(markets, 'market')}, {_count(numbers.n, 'trade')}"
    interval = f"{points(found.after.mean)} points (95 % interval {_range(found.after)})"
    if found.conclusion != "chance":
        return (
            f"{what}: a {found.conclusion}. The edge after fees is {interval}. It describes these recordings"
            " and is not a forecast."
        )
    needed = numbers.needed or 0
    if numbers.markets >= needed:
        return f"{what}: no edge is shown. The edge after fees is {interval}, and the sample is large enough."
    return (
        f"{what}: cannot tell. The edge after fees is {interval}; to see an edge of"
        f" {100 * EDGE_WORTH_FINDING:g} points, about {needed:,} trades are needed{_days(rate, needed)}."
    )


def _days(rate: FillRate | None, needed: int) -> str:
    days = None if rate is None else rate.days(needed)
    if rate is None or days is None:
        return ""
    return f", that is {_count(days, 'more day')} at {rate.per_day:.1f} trades a day ({rate.name})"


def result_section(text: str, left_out: str, found: Edge | None, run: RunResults) -> Markup:
    """The conclusion, the edge at each step from the ask to the fee, and the money."""
    parts = [tag("p", tag("strong", text), class_="conclusion"), tag("p", left_out)]
    if run.halted is not None:
        halted = f"The run halted and bought nothing afterwards: {run.halted}"
        parts.append(tag("p", tag("strong", halted), class_="conclusion"))
    if found is None:
        return section("Result", *parts, empty(NONE_SETTLED))
    numbers = found.numbers
    rows = [
        (name, f"{price:.4f}", points(value.mean), _range(value), "yes" if value.sign else "no")
        for name, price, value in (
            ("after fees", found.even, found.after),
            ("before fees, at the price paid", numbers.mean_price or 0.0, found.before),
            ("before fees, at the ask that was seen", found.ask, found.seen),
        )
    ]
    money = (
        f"{found.mean_pnl.mean:+.4f} pUSD (95 % interval {found.mean_pnl.low:+.4f} to"
        f" {found.mean_pnl.high:+.4f}, {_method(found)})"
    )
    # The ratio of a few trades without a loss looks like a result: it is left out until the sample is enough.
    enough = numbers.markets >= (numbers.needed or 0)
    texts = dict(statistics_lines(numbers))
    lines = [
        ("P&L per trade", money),
        *((name, texts[name]) for name in ("Return", "Money", "Trades")),
        *(
            (NAMES.get(name, name), line)
            for name, line in performance_lines(run.performance)
            if enough or name != "Sharpe"
        ),
    ]
    return section(
        "Result",
        *parts,
        table(
            ("edge", "mean price", "points", "95 % interval", "excludes zero"),
            rows,
            caption="Edge: share of trades won minus mean price, in probability points",
            text=(0, 4),
        ),
        tag(
            "dl", *(tag(kind, part) for line in lines for kind, part in zip(("dt", "dd"), line, strict=True))
        ),
    )


def _method(found: Edge) -> str:
    if found.resampled:
        return "bootstrap over markets"
    return (
        f"normal, with at least the error that the prices imply: fewer than {LEAST_OF_EACH} markets were won,"
        " or lost, so that a bootstrap would be too narrow"
    )


def sample_section(found: Edge | None, rates: Sequence[FillRate], errors: Sequence[str]) -> Markup:
    """The markets required to see an edge, and the days until then at each fill rate."""
    if found is None:
        return section("Required sample", empty(NONE_SETTLED))
    even, markets = found.even, found.numbers.markets
    smallest = detectable(even, markets)
    seen = (
        f"With {_count(markets, 'traded market')}, an edge of {100 * smallest:.1f} points would be seen with"
        " a probability of 80 %."
        if smallest is not None
        else f"With {_count(markets, 'traded market')}, no edge of any size can be concluded."
    )
    rows = []
    for size in EDGES:
        needed = required_markets(even, size)
        rows.append(
            (
                f"{100 * size:g} point{'' if size == EDGES[0] else 's'}",
                f"{needed:,}",
                *(_days_cell(rate.days(needed)) for rate in rates),
            )
        )
    return section(
        "Required sample",
        tag("p", seen),
        table(
            ("edge after fees", "traded markets", *(f"more days, {rate.name}" for rate in rates)),
            rows,
            caption="Markets until an edge is seen with a probability of 80 %, and the days until then",
        ),
        *(tag("p", _rate_text(rate), class_="soft") for rate in rates),
        *(
            tag("p", f"The fill rate of your own bot is not known: {error}", class_="soft")
            for error in errors
        ),
        tag(
            "p",
            f"The required number is that of a two-sided test at 5 % for a break-even of {even:.1%}. An edge"
            " may be positive or negative. Stopping as soon as an interval excludes zero makes the error"
            f" larger than 5 %: decide at the number above, or by the interval of “{NAMES['Edge']}”.",
            class_="soft",
        ),
    )


def _days_cell(days: int | None) -> str:
    return DASH if days is None else f"{days:,}"


def _rate_text(rate: FillRate) -> str:
    name = rate.name[0].upper() + rate.name[1:]
    return (
        f"{name}: {rate.traded:,} of {_count(rate.markets, 'observed market')} traded, {rate.per_day:.1f} a"
        " day of uninterrupted running."
    )


# --- markets ---------------------------------------------------------------------------------------


def left_out_text(recorded: int, left_out: Mapping[str, str], found: Funnel) -> str:
    """The share of markets that are not in the result, with the reasons."""
    reasons = Counter(left_out.values())
    text = f"{_count(recorded, 'recorded market')}: {_share(len(left_out), recorded)} left out of the run"
    if reasons:
        text += f" ({_reasons(reasons)})"
    stops = Counter(
        {readable_name(stop): count for stage in _before_purchase(found) for stop, count in stage.items()}
    )
    return f"{text}; {_share(stops.total(), recorded)} not traded{f' ({_reasons(stops)})' if +stops else ''}."


def _before_purchase(found: Funnel) -> list[dict[str, int]]:
    stages = [stage.stage for stage in found.stages]
    return [stage.stopped for stage in found.stages[: stages.index(Stage.MATCHED) + 1]]


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.0%})" if total else f"{count:,}"


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)


def markets_section(run: RunResults, left_out: Mapping[str, str]) -> Markup:
    """The rules under which the markets were traded, and each market that was left out."""
    eras: dict[str, list[Market]] = {}
    for market in run.markets.values():
        eras.setdefault(era(market), []).append(market)
    rows = []
    for name, markets in eras.items():
        slugs = {market.slug for market in markets}
        rows.append((name, f"{len(markets):,}", *edge_cells(edge(t for t in run.trades if t.slug in slugs))))
    parts = [table(("terms", "recorded", *HEADINGS), rows, caption="Result by the terms of the market")]
    if len(eras) > 1:
        parts.append(
            tag(
                "p",
                "The recordings have different terms: the sums of this report mix them.",
                class_="conclusion",
            )
        )
    if left_out:
        listed = table(
            ("market", "reason"),
            list(left_out.items()),
            caption="Recorded markets that were left out of the run",
            text=(0, 1),
        )
        parts.append(tag("details", tag("summary", f"Show all {len(left_out):,} that were left out"), listed))
    return section("Markets", *parts)


def era(market: Market) -> str:
    """The terms of a market: what it settles on, its protocol, its fee rate and its length."""
    minutes = market.interval / 60
    return f"{market.rule}, {market.version}, fee {market.fee_rate}, {minutes:g} min"


# --- equity ----------------------------------------------------------------------------------------


def equity_section(run: RunResults) -> Markup:
    """What the band of the equity plot is."""
    clusters = pnl_by_market(run.trades)
    if not clusters:
        return section("Equity", empty(NONE_SETTLED))
    lost = sum(pnl < 0 for pnl, _ in clusters)
    text = (
        "The band of the plot has 95 % of the curves that result if as many markets are drawn from the"
        " traded ones, with replacement, and each with all of its trades. It assumes that the order of the"
        " markets has no meaning."
    )
    rarer, what = min((lost, "lost"), (len(clusters) - lost, "won"))
    if rarer < LEAST_OF_EACH:
        text += (
            f" It is too narrow here: only {rarer:,} of {_count(len(clusters), 'market')} were {what}, and"
            " what did not happen cannot be drawn."
        )
    return section("Equity", tag("p", text, class_="soft"))


# --- the gap ---------------------------------------------------------------------------------------


def gap_section(run: RunResults) -> Markup:
    """The gap between the ask that was seen and the price that was paid."""
    found = gap(run.trades)
    title = "Ask seen and price paid"
    orders = ", ".join(
        f"{readable_name(state)} {count:,}" for state, count in run.funnel.orders.items() if count
    )
    sent = tag("p", f"Orders: {orders or 'none'}. An order without a fill has no price, and no gap.")
    if found is None:
        return section(title, sent, empty("No trade yet."))
    mean = found.mean
    rows = [
        ("mean", f"{100 * mean.mean:+.3f}"),
        ("95 % interval", f"{100 * mean.low:+.3f} to {100 * mean.high:+.3f}"),
        ("largest", f"{100 * found.worst:+.3f}"),
        ("trades at a higher price", f"{found.worse:,}"),
        ("trades at the same price", f"{found.equal:,}"),
        ("trades at a lower price", f"{found.better:,}"),
    ]
    return section(
        title,
        tag(
            "p",
            "The ask is the best one of the book at the decision. The order arrives later, at another book,"
            " and may need more than one level of it.",
        ),
        sent,
        table(
            ("price paid minus ask", "cents per share"),
            rows,
            caption="Gap; its interval is a bootstrap over markets",
        ),
    )


# --- groups ----------------------------------------------------------------------------------------


def groups_section(by_price: Sequence[GroupEdge], by_second: Sequence[GroupEdge]) -> Markup:
    """Edge by price band and by market second."""
    if not by_price:
        return section("By price and second", empty(NONE_SETTLED))
    return section(
        "By price and second",
        _edge_table("price paid", by_price, "Edge by price band"),
        _edge_table("market second", by_second, "Edge by the market second of the decision"),
        tag("p", _comparisons(len(by_price) + len(by_second)), class_="soft"),
    )


def _comparisons(count: int) -> str:
    return f"With {count} groups compared, one in twenty is expected to exclude zero by chance alone."


def _edge_table(what: str, groups: Iterable[tuple[str, Edge | None]], caption: str) -> Markup:
    return table((what, *HEADINGS), [(name, *edge_cells(found)) for name, found in groups], caption=caption)


def edge_cells(found: Edge | None) -> tuple[str, ...]:
    """The cells of `HEADINGS`."""
    if found is None or found.numbers.win_rate is None:
        return ("0", "0", *[DASH] * (len(HEADINGS) - 2))
    numbers = found.numbers
    return (
        f"{numbers.n:,}",
        f"{numbers.markets:,}",
        f"{numbers.win_rate:.1%}",
        f"{found.after.low + found.even:.1%} to {found.after.high + found.even:.1%}",
        f"{found.even:.1%}",
        f"{points(found.before.mean)} ({_range(found.before)})",
        f"{points(found.after.mean)} ({_range(found.after)})",
        f"{numbers.pnl:+.3f}",
    )


# --- processors ------------------------------------------------------------------------------------


def ablation_section(whole: Edge | None, found: Sequence[Ablation]) -> Markup:
    """The result with all processors, and without each of them."""
    changes = [
        (
            f"without {each.source}",
            *(f"{count:,}" for count in (each.voted, each.dropped, each.added, each.unknown)),
            f"{each.difference.mean:+.3f}",
            f"{each.difference.low:+.3f} to {each.difference.high:+.3f}" if each.measured else DASH,
        )
        for each in found
    ]
    results = [("all six", whole), *((f"without {each.source}", each.without) for each in found)]
    return section(
        "With and without each processor",
        tag(
            "p",
            "Each row repeats the recorded decisions of the run without the vote of one processor: the trades"
            " that it prevented are added, the trades that needed it are dropped. Its weight is given to no"
            " other. An added trade is priced at the ask of its decision, with the fee and without a gap;"
            " risk limits are not applied again.",
        ),
        table(
            (
                *("processors", "voted in", "dropped", "added", "unknown"),
                *("difference of P&L", "95 % interval"),
            ),
            changes,
            caption="Changes of the trades without each processor, in markets and pUSD",
        ),
        _edge_table(
            "processors", results, "Result of the same decisions with all processors and without each"
        ),
        tag(
            "p",
            "Unknown: without the processor the market would have been tried again at a time for which the"
            " run has no decision; it counts as not traded. The difference is the P&L without the processor"
            " minus the P&L with it, in pUSD, its interval a bootstrap over markets; with fewer than"
            f" {LEAST_OF_EACH} markets that differ there is none, and the difference shows nothing about the"
            " processor. A processor without a"
            " vote changes nothing: recordings may lack its source. " + _comparisons(len(found)),
            class_="soft",
        ),
    )


# --- method ----------------------------------------------------------------------------------------


def method_section(params: BrainParams | None) -> Markup:
    """The parameters of the run, and the methods with their sources."""
    parts = [tag("p", text, class_="soft") for text in METHODS]
    if params is not None:
        rows = [(name, str(getattr(params, name))) for name in BrainParams.__struct_fields__]
        shown = table(("parameter", "value"), rows, caption="Parameters of the decisions", text=(0, 1))
        parts.append(tag("details", tag("summary", "Show the parameters"), shown))
    return section("Method", *parts)


METHODS = (
    "Edge: interval of the share won minus the mean price, over distinct markets. The interval is Wilson's"
    " (JASA 22, 1927), and the exact one of Clopper and Pearson (Biometrika 26, 1934) where fewer than"
    f" {LEAST_OF_EACH} wins or losses are expected at the price.",
    "P&L, equity and gap: percentile bootstrap over markets with a fixed seed (Efron and Tibshirani, An"
    " Introduction to the Bootstrap, 1993; Cameron, Gelbach and Miller, Review of Economics and Statistics"
    " 90, 2008).",
    "Required sample: one-sample size of a two-sided test at 5 % with a power of 80 % (Chow, Shao and Wang,"
    " Sample Size Calculations in Clinical Research).",
    "A conclusion of profit or loss needs the required sample for 2 points, and intervals of edge and of P&L"
    " that exclude zero on the same side.",
)


def points(value: float) -> str:
    """A probability difference in points."""
    return f"{100 * value:+.2f}"


def _range(found: Estimate) -> str:
    return f"{points(found.low)} to {points(found.high)}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
