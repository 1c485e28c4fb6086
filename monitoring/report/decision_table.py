"""Tables of the last trades and of the last markets without one, with the reason of each decision."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from execution.ledger import TradeRow
from models import Direction, TradeOutcome, Vote
from monitoring.report.decision_text import (
    EXPLAINED,
    SIDES,
    DecisionEvidence,
    UntradedMarket,
    abstention_text,
    purchase_text,
    signal_text,
    untraded_text,
)
from monitoring.report.html import DASH, Markup, join, table, tag

DIRECTIONS = {Direction.BULLISH: "up", Direction.BEARISH: "down", Direction.NEUTRAL: "soft"}
RESULTS = {TradeOutcome.WIN: "up", TradeOutcome.LOSS: "down", TradeOutcome.PENDING: "soft"}


def last_trades(trades: Sequence[TradeRow], evidence: Mapping[int, DecisionEvidence]) -> Markup:
    """The last trades, newest first, with their decisions.

    Parameters
    ----------
    trades : Sequence[TradeRow]
        Oldest first.
    evidence : Mapping[int, DecisionEvidence]
        By decision id. A trade without its evidence has a dash in the place of reason and votes.
    """
    rows = [
        (
            _lines(trade.slug, trade.kind or ""),
            _decided(trade.created_ns, trade.decision_id, evidence.get(trade.decision_id)),
            _lines(f"{trade.side} at {trade.price:.3f}", f"{trade.cost:.2f} pUSD, fee {trade.fee:.4f}"),
            *_explained(evidence.get(trade.decision_id)),
            _lines(
                tag("span", trade.outcome, class_=RESULTS[trade.outcome]),
                "" if trade.pnl is None else f"{trade.pnl:+.4f} pUSD",
            ),
        )
        for trade in reversed(trades[-EXPLAINED:])
    ]
    return table(
        ("market", "decided, UTC", "bought", "reason", "votes", "result"),
        rows,
        caption=f"{_last(len(rows), len(trades), 'trade')} with the reason of each decision, newest first",
        text=range(6),
        cards=True,
    )


def untraded_markets(found: Sequence[UntradedMarket]) -> Markup:
    """The markets without a trade, in their order, with their last decision."""
    rows = [
        (
            market.slug,
            _decided(market.now_ns, market.decision_id, market.evidence),
            f"{market.evidence.context.p}",
            untraded_text(market),
            _votes(market.evidence.votes),
        )
        for market in found
    ]
    return table(
        ("market", "decided, UTC", "price of Up", "reason", "votes"),
        rows,
        caption="The last decision of each market without a trade, newest first",
        text=range(5),
        cards=True,
    )


def _last(shown: int, count: int, noun: str) -> str:
    if count == 1:
        return f"The only {noun}"
    return f"All {count} {noun}s" if shown == count else f"The last {shown} of {count:,} {noun}s"


def _explained(found: DecisionEvidence | None) -> tuple[str, str]:
    return (DASH, DASH) if found is None else (purchase_text(found), _votes(found.votes))


def _decided(ts_ns: int, decision_id: int, found: DecisionEvidence | None) -> Markup:
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    second = "" if found is None else f", market second {found.context.second:.0f}"
    return _lines(f"{moment:%Y-%m-%d %H:%M:%S}", f"decision {decision_id}{second}")


def _lines(first: str, second: str) -> Markup:
    """A cell with a line, and a less important one below it."""
    below = tag("div", second, class_="soft") if second else join(())
    return tag("div", tag("div", first), below)


def _votes(votes: Sequence[Vote]) -> Markup:
    """The signals of a decision, and those that abstained behind a line to open."""
    if not votes:
        return tag("div", "no vote was taken", class_="soft")
    abstained = [vote for vote in votes if vote.signal is None]
    parts = [tag("ul", *_signals(votes), class_="votes")] if len(abstained) < len(votes) else []
    if abstained:
        listed = tag("ul", *(tag("li", abstention_text(vote)) for vote in abstained), class_="votes soft")
        parts.append(tag("details", tag("summary", f"{len(abstained)} abstained"), listed))
    return tag("div", *parts)


def _signals(votes: Sequence[Vote]) -> Iterator[Markup]:
    for vote in votes:
        if vote.signal is not None:
            direction = vote.signal.direction
            side = tag("span", SIDES[direction], class_=DIRECTIONS[direction])
            yield tag("li", side, f": {signal_text(vote.signal, vote.weight)}")
