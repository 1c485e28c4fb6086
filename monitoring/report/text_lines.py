"""Results as text lines, shared by the table view and the HTML report."""

from events import TermsChanged
from monitoring.confidence_sequence import ConfidenceSequence
from monitoring.funnel import Funnel
from monitoring.performance_tracker import Performance, Sharpe, SourceResult
from monitoring.statistics import Statistics

NOT_CHANCE = 1.959964
"""Standard errors from which zero is outside the 95 % interval."""

Lines = list[tuple[str, str]]


TERM_NAMES = {
    "fee_rate": "the fee rate",
    "tick": "the tick",
    "minimum_shares": "the minimum size of a resting order",
    "taker_delay": "the delay of taking orders",
}


def terms_text(changed: TermsChanged) -> str:
    """A change of the terms from one market to another."""
    name = TERM_NAMES.get(changed.term, changed.term)
    return f"{name} is {changed.value} in {changed.slug}, {changed.before} in {changed.before_slug}"


def statistics_lines(numbers: Statistics) -> Lines:
    """(name, text) of each statistic; a win rate always with n, interval and break-even."""
    lines = [("Trades", counts(numbers))]
    if numbers.win_rate is not None:
        lines += [
            (
                "Win rate",
                f"{numbers.win_rate:.1%} (n = {numbers.n}, 95 % interval {numbers.wilson_low:.1%} to"
                f" {numbers.wilson_high:.1%}); break-even after fees is {numbers.break_even:.1%}",
            ),
            (
                "Price paid",
                f"{numbers.mean_price:.3f} on average over the trades, {numbers.price_per_share:.3f} over"
                " the shares; break-even is the average over the trades, each with its fee",
            ),
            (
                "Money",
                f"staked {numbers.staked:.2f}, fees {numbers.fees:.4f}, paid out {numbers.payouts:.2f},"
                f" P&L {numbers.pnl:+.3f} pUSD",
            ),
            (
                "Per trade",
                f"{numbers.mean_pnl:+.4f} pUSD (95 % interval {numbers.mean_pnl_low:+.4f} to"
                f" {numbers.mean_pnl_high:+.4f})",
            ),
            (
                "Return",
                f"{numbers.return_on_stake:+.2%} of the stake (standard error {numbers.return_se:.2%},"
                f" z = {numbers.z or 0.0:.2f}, p = {numbers.p_value:.2g} by {numbers.test})",
            ),
        ]
    return [*lines, ("Conclusion", numbers.conclusion)]


def counts(numbers: Statistics) -> str:
    """Number of trades, won, lost, pending, and of distinct markets."""
    text = f"{numbers.n} settled ({numbers.wins} won, {numbers.losses} lost), {numbers.pending} pending"
    if numbers.markets < numbers.n:
        text += f"; only {numbers.markets} distinct markets, and repeats are not independent evidence"
    return text


def performance_lines(found: Performance) -> Lines:
    """Edge, equity, drawdown, profit factor and Sharpe; empty without settled trades."""
    if not found.total.n:
        return []
    return [
        *_kind_lines(found),
        *series_lines(found),
        *(() if found.edge is None else (("Edge", _edge(found.edge)),)),
        ("Equity", _equity(found)),
        ("Drawdown", _drawdown(found)),
        (
            "Profit factor",
            "none yet: no trade has lost"
            if found.profit_factor is None
            else f"{found.profit_factor:.2f} pUSD gained for each one lost",
        ),
        ("Sharpe", _sharpe(found.sharpe)),
    ]


def _kind_lines(found: Performance) -> Lines:
    """Recorded and generated markets separately, if there are both."""
    if len(found.by_kind) < 2:
        return []
    return [
        (
            group.name.capitalize(),
            f"{counts(group.statistics)}, P&L {group.statistics.pnl:+.3f} pUSD",
        )
        for group in found.by_kind
    ]


def series_lines(found: Performance) -> Lines:
    """Each series separately, if there are several."""
    return [
        (group.name, f"{counts(group.statistics)}, P&L {group.statistics.pnl:+.3f} pUSD")
        for group in found.by_series
    ]


def _edge(found: ConfidenceSequence) -> str:
    near = found.low <= 0 <= found.high
    markets = "1 market" if found.n == 1 else f"{found.n} markets"
    return (
        f"{100 * found.low:+.1f} to {100 * found.high:+.1f} points of win rate over break-even after"
        f" {markets}; a 95 % interval for a test that is looked at after every market:"
        f" {'not distinguishable from zero' if near else 'it excludes zero'}"
    )


def _equity(found: Performance) -> str:
    text = f"{found.equity:.3f} pUSD from {found.starting:.3f}, realised {found.realised:+.3f}"
    return f"{text}; {found.open_cost:.3f} more at stake in pending trades" if found.open_cost else text


def _drawdown(found: Performance) -> str:
    fall = found.drawdown
    if not fall.amount:
        return "none: equity has never been below an earlier peak"
    share = "" if fall.fraction is None else f", at most {fall.fraction:.2%} of the peak"
    now = f"now {fall.current:.3f} below the peak" if fall.current else "now at the peak"
    return f"{fall.amount:.3f} pUSD from peak to trough{share}; {now}"


def _sharpe(sharpe: Sharpe | None) -> str:
    if sharpe is None:
        return "none yet: it needs trades with different returns"
    near = abs(sharpe.ratio) <= NOT_CHANCE * sharpe.error
    conclusion = "not distinguishable from zero" if near else "its 95 % interval excludes zero"
    return (
        f"{sharpe.ratio:+.3f} a trade, not annualised (standard error {sharpe.error:.3f},"
        f" n = {sharpe.n} markets): {conclusion}"
    )


def source_line(found: SourceResult) -> str:
    """A signal source's accuracy against the market's price."""
    return (
        f"right {found.accuracy:.1%} (n = {found.n} votes in {found.markets} markets, 95 % interval"
        f" {found.low:.1%} to {found.high:.1%}); the market's price gave {found.expected:.1%}."
        f" {found.conclusion}"
    )


def funnel_rows(found: Funnel) -> list[tuple[str, int, str]]:
    """(stage, markets, reasons that stopped the others before it)."""
    rows = []
    for count in found.stages:
        stops = (f"{readable_name(name)} {n}" for name, n in count.stopped.items() if n)
        rows.append((readable_name(count.stage), count.markets, ", ".join(stops)))
    return rows


def decisions_line(found: Funnel) -> str:
    """Decisions and orders by result, without zeros."""
    decisions = ", ".join(f"{readable_name(name)} {n}" for name, n in found.decisions.items() if n)
    orders = ", ".join(f"{readable_name(name)} {n}" for name, n in found.orders.items() if n)
    return f"decisions: {decisions or 'none'}; orders: {orders or 'none'}"


def readable_name(name: str) -> str:
    """A stage's or reason's name with spaces."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """Format a duration with its two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"
