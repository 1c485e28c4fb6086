"""A replayed decision as text: what was known, the votes, the gates, and whether it is the same again."""

from collections.abc import Sequence
from datetime import UTC, datetime

from models import Book, Consensus, Decision, DecisionContext, Outcome, Vote

LEVELS = 3
"""Price levels shown per side of a book."""
NANOSECONDS = 1_000_000_000

type Section = tuple[str, list[tuple[str, str]]]
"""A heading with its (name, text) lines."""


def replay_sections(
    decision_id: int,
    recorded: Decision,
    again: Decision,
    gates: Sequence[tuple[str, str]],
    conclusion: str,
) -> list[Section]:
    """The whole text.

    Parameters
    ----------
    decision_id : int
    recorded, again : Decision
        As the ledger has it, and as the brain takes it now.
    gates : sequence of (name, result)
    conclusion : str
        Whether the two are identical.
    """
    context = recorded.context
    moment = datetime.fromtimestamp(context.now_ns // NANOSECONDS, UTC)
    when = f"market second {context.second:.1f}, {moment:%Y-%m-%d %H:%M:%S} UTC"
    fused = again.fused
    vote = (
        []
        if fused is None
        else [
            (
                "Fused",
                f"{fused.direction}, score {fused.score:.1f}, confidence {fused.confidence:.3f}, weight"
                f" {fused.weight:.3f} (bullish {fused.bullish:.4f}, bearish {fused.bearish:.4f})",
            )
        ]
    )
    return [
        (f"Decision {decision_id}: {context.market.slug}, {when}", []),
        ("Context", context_lines(context)),
        ("Votes", [*((each.source, vote_line(each)) for each in again.votes), *vote] or [("none", "")]),
        ("Gates", list(gates)),
        (
            "Decision",
            [
                ("recorded", decision_line(recorded)),
                ("replayed", decision_line(again)),
                ("conclusion", conclusion),
            ],
        ),
    ]


def context_lines(context: DecisionContext) -> list[tuple[str, str]]:
    """Everything that the decision could look at; long sequences by their number and their ends."""
    lines = [
        ("price of Up", f"{context.p} ({len(context.history)} prices and {len(context.ticks)} ticks known)"),
        ("last prices", " ".join(map(str, context.history[-10:])) or "none"),
        *((f"{outcome} book", book_line(context.book(outcome), context.now_ns)) for outcome in Outcome),
    ]
    now_ns, spot, strike = context.now_ns, context.spot, context.strike
    if spot is not None:
        lines.append(("spot", f"{spot.price} by {spot.source}, {_age(spot.source_ns, now_ns)} old"))
        lines.append(("spot path", f"{len(context.spot_path)} prices"))
    if (together := context.consensus) is not None:
        lines.append(("consensus", consensus_line(together)))
    if strike is not None:
        lines.append(("strike", f"{strike.price}, {strike.rule} by {strike.source}"))
    if (ratios := context.put_call) is not None:
        near = "none" if ratios.short is None else f"{ratios.short:.3f}"
        lines.append(
            (
                "put/call",
                f"{ratios.overall:.3f}, near expiries {near}, {_age(ratios.source_ns, now_ns)} old",
            )
        )
    if (mood := context.sentiment) is not None:
        lines.append(
            (
                "sentiment",
                f"{mood.score:g} ({mood.classification}), {_age(mood.source_ns, now_ns)} old",
            )
        )
    return [*lines, *((f"no {source}", reason) for source, reason in context.absent.items())]


def consensus_line(consensus: Consensus) -> str:
    """The median with the sources that agree, and those that do not."""
    outliers = ", ".join(f"{name} at {price}" for name, price in sorted(consensus.outliers.items()))
    return f"{consensus.median} by {', '.join(sorted(consensus.sources))}" + (
        f"; excluded: {outliers}" if outliers else ""
    )


def book_line(book: Book, now_ns: int) -> str:
    """The best levels of both sides and the age of the book."""
    sides = []
    for name, levels in (("bids", book.bids), ("asks", book.asks)):
        shown = ", ".join(f"{level.price} × {level.size.normalize():f}" for level in levels[:LEVELS])
        more = f" and {len(levels) - LEVELS} more" if len(levels) > LEVELS else ""
        sides.append(f"{name} {shown or 'none'}{more}")
    return f"{'; '.join(sides)}; {_age(book.ts_ns, now_ns)} old"


def vote_line(vote: Vote) -> str:
    """One vote with its weight, or the reason of the abstention."""
    if vote.signal is None:
        return f"{vote.weight:.3f}  abstains: {vote.abstained}"
    signal = vote.signal
    return (
        f"{vote.weight:.3f}  {signal.direction}, strength {int(signal.strength)}, confidence"
        f" {signal.confidence:.3f}"
    )


def decision_line(decision: Decision) -> str:
    """How a decision ended, with its numbers."""
    if decision.buys:
        edge = "unknown" if decision.edge is None else f"{decision.edge:+.4f}"
        return f"buy {decision.outcome} at {decision.ask}, at most {decision.price_cap}, edge {edge}"
    return f"no order, {decision.reason}: {decision.detail}"


def _age(then_ns: int, now_ns: int) -> str:
    seconds = (now_ns - then_ns) / NANOSECONDS
    return f"{seconds:.1f} s" if abs(seconds) < 600 else f"{seconds / 3600:.1f} h"
