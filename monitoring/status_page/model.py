"""Builds the view of the status page from events, the worker status and the ledger's totals. Pure.

Its cost does not depend on the length of the history: of markets, trades and feeds only the newest are shown.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import msgspec
from rich.text import Text

from common.utc_time import utc_midnight_ns
from events import Decided, Event, Filled, MarketOpened, OrderMoved, Settled, WorkerStatus
from execution.ledger import Mark, Position, TradeRow
from models import Consensus, Decision, Frozen, Market, Vote
from monitoring.equity_curve import Drawdown
from monitoring.funnel import Funnel, stage_counts
from monitoring.ledger_totals import LedgerTotals
from monitoring.market_block import RESULT, SHORT_NAMES, VOTES, MarketBlock, Row, decision_text
from monitoring.report.text_lines import funnel_rows
from monitoring.statistics import TradeTally
from monitoring.status_lines import (
    countdown_text,
    feed_age_text,
    is_off,
    kind_text,
    market_text,
    mode_text,
    pending_text,
    quote_text,
    series_statuses,
    start_text,
)
from monitoring.status_page.view import (
    DecisionView,
    FeedView,
    Figure,
    FunnelRow,
    Line,
    MarketNow,
    MarketView,
    PageView,
    PositionView,
    TradeView,
    VoteView,
)

MARKETS, TRADES, POSITIONS, FEEDS = 8, 12, 20, 20
"""Maximum number of rows of each list; of markets, with several series, two for each."""
CONCLUSIONS = {
    "chance": "not distinguishable from chance",
    "profit": "a profit after fees, beyond chance",
    "loss": "a loss after fees, beyond chance",
}


class _Results(Frozen, frozen=True):
    """What the ledger's totals give; `day_ns` is the midnight of its day."""

    day_ns: int
    trades: tuple[TradeView, ...]
    figures: tuple[Figure, ...]
    funnel: tuple[FunnelRow, ...]


class PageModel:
    """Collects the newest markets and prices. Used on the node's loop only.

    Parameters
    ----------
    max_exposure : Decimal
        The limit of the exposure, pUSD.
    """

    def __init__(self, max_exposure: Decimal) -> None:
        self._max_exposure = max_exposure
        self._several = False
        """Whether several series are traded, so that each market is named by its series."""
        self._most_markets = MARKETS
        self._blocks: dict[str, MarketBlock] = {}
        self._decision: Decision | None = None
        self._changed = True
        """Whether an event may have changed the results since they were made."""
        self._results: _Results | None = None
        self._marks: dict[str, Mark] = {}
        """The last price of each market with an open position, and of the running one."""

    def restore(self, blocks: Iterable[MarketBlock]) -> None:
        """Show markets of an earlier process, oldest first."""
        for block in blocks:
            self._blocks[block.market.slug] = block
            self._decision = block.decision or self._decision
        self._shorten()

    def handle(self, event: Event) -> None:
        """Add an event to its market."""
        self._changed = True
        match event:
            case MarketOpened(market=market):
                self._block(market)
            case Decided(decision=decision):
                block = self._block(decision.context.market)
                block.decided(event)
                self._decision = block.decision
            case OrderMoved(intent=intent) if intent.slug in self._blocks:
                self._blocks[intent.slug].order_moved(event)
            case Filled(fill=fill) if fill.slug in self._blocks:
                self._blocks[fill.slug].filled(event)
            case Settled(market=market) if market.slug in self._blocks:
                self._blocks[market.slug].settle(event)
            case _:
                pass

    def view(self, now: WorkerStatus, totals: LedgerTotals | None) -> PageView:
        """The page at a heartbeat; without totals it has no results."""
        self._several = bool(now.series)
        self._most_markets = max(MARKETS, 2 * len(now.series))
        trades = [] if totals is None else totals.open_trades()
        self._mark(now, {trade.slug for trade in trades})
        results = self._results_of(totals, now.ts_ns)
        return PageView(
            time=f"{datetime.fromtimestamp(now.ts_ns // 10**9, UTC):%d %b %Y %H:%M:%S} UTC",
            mode=mode_text(now),
            money="real money" if now.mode == "live" else "practice money",
            profile=now.profile,
            allows_orders=now.allows_orders,
            mode_detail=now.mode_detail,
            halted=now.halted or "",
            pending=pending_text(now),
            market=_market_now(now),
            decision=None
            if self._decision is None
            else _decision_view(self._decision, now.slug, self._several),
            markets=tuple(_market_view(block, self._several) for block in reversed(self._blocks.values())),
            positions=tuple(self._position(trade) for trade in trades[-POSITIONS:][::-1]),
            trades=results.trades,
            results=results.figures,
            funnel=results.funnel,
            feeds=tuple(_feeds(now)),
            system=tuple(_system(now)),
        )

    def _results_of(self, totals: LedgerTotals | None, now_ns: int) -> _Results:
        """The results, made again only after an event and at midnight."""
        day_ns = utc_midnight_ns(now_ns)
        if self._results is None or self._changed or self._results.day_ns != day_ns:
            self._results = _Results(
                day_ns=day_ns,
                trades=()
                if totals is None
                else tuple(_trade_view(trade, self._several) for trade in totals.tracker.newest(TRADES)),
                figures=() if totals is None else tuple(_figures(totals, self._max_exposure, now_ns)),
                funnel=() if totals is None else tuple(_funnel(totals)),
            )
            self._changed = False
        return self._results

    def _block(self, market: Market) -> MarketBlock:
        found = self._blocks.get(market.slug)
        if found is None:
            found = self._blocks[market.slug] = MarketBlock(market)
            self._shorten()
        return found

    def _shorten(self) -> None:
        for slug in list(islice(self._blocks, max(0, len(self._blocks) - self._most_markets))):
            del self._blocks[slug]

    def _mark(self, now: WorkerStatus, held: set[str]) -> None:
        running = series_statuses(now)
        for one in running:
            if one.slug is not None and one.p is not None:
                self._marks[one.slug] = Mark(p=one.p, second=one.second, ts_ns=one.ts_ns)
        kept = held | {one.slug for one in running}
        self._marks = {slug: mark for slug, mark in self._marks.items() if slug in kept}

    def _position(self, trade: TradeRow) -> PositionView:
        found = Position(trade=trade, mark=self._marks.get(trade.slug))
        return PositionView(
            market=market_text(trade.slug, several=self._several),
            side=trade.side.value,
            shares=f"{trade.shares.normalize():f}",
            paid=f"{trade.cost + trade.fee:.4f}",
            chance="" if found.chance is None else f"{found.chance:.1%}",
            worth="" if found.value is None else f"{found.value:.4f}",
            so_far="" if found.unrealised is None else f"{found.unrealised:+.4f}",
        )


def _market_now(now: WorkerStatus) -> MarketNow | None:
    if now.slug is None:
        return None
    facts = (quote_text(now), f"spot {now.outside}" if now.outside else "")
    return MarketNow(
        start=f"{market_text(now.slug, several=bool(now.series))} UTC",
        title=now.title or now.slug,
        kind=kind_text(now.kind, now.version),
        second=round(now.second, 1),
        window=now.window,
        phase=countdown_text(now),
        up="" if now.p is None else f"{now.p:.3f}",
        down="" if now.p is None else f"{1 - now.p:.3f}",
        facts=tuple(fact for fact in facts if fact),
    )


def _decision_view(decision: Decision, running: str | None, several: bool) -> DecisionView:
    context = decision.context
    return DecisionView(
        market=market_text(context.market.slug, several=several),
        second=int(context.second),
        current=context.market.slug == running,
        votes=tuple(map(_vote_view, decision.votes)),
        decision=_line("decision", decision_text(decision)),
    )


def _vote_view(vote: Vote) -> VoteView:
    found = VoteView(
        name=SHORT_NAMES.get(vote.source, vote.source),
        source=vote.source,
        weight=f"{vote.weight:.2f}",
        detail=vote.abstained or "",
    )
    if vote.signal is None:
        return found
    return msgspec.structs.replace(
        found, direction=vote.signal.direction.value, confidence=round(vote.signal.confidence, 3)
    )


def _market_view(block: MarketBlock, several: bool) -> MarketView:
    rows = [_line(*row) for row in block.rows() if row[0] not in (VOTES, RESULT)]
    if block.settled is not None:
        rows.append(_line(*_result_row(block.settled)))
    return MarketView(
        start=market_text(block.market.slug, several=several),
        kind=kind_text(block.market.kind, block.market.version),
        running=block.settled is None,
        rows=tuple(rows),
    )


def _result_row(settled: Settled) -> Row:
    """The official result without the total, which the results show."""
    text = Text(settled.settlement.result)
    if (pnl := settled.pnl) is not None:
        text = Text(f"{text.plain} {pnl:+.4f}", style="green" if pnl > 0 else "red")
    return RESULT, text


def _line(label: str, text: Text) -> Line:
    styles = [str(text.style), *(str(span.style) for span in text.spans)]
    tones = [tone for style in styles for tone in style.split() if tone != "bold"]
    return Line(label=label, text=text.plain, tone=tones[0] if tones else "")


def _trade_view(trade: TradeRow, several: bool) -> TradeView:
    return TradeView(
        market=market_text(trade.slug, several=several),
        kind="" if trade.kind is None else trade.kind.value,
        side=trade.side.value,
        price=f"{trade.price:.3f}",
        paid=f"{trade.cost + trade.fee:.4f}",
        score="" if trade.score is None else f"{trade.score:.0f}",
        outcome=trade.outcome.value,
        pnl="" if trade.pnl is None else f"{trade.pnl:+.4f}",
    )


def _figures(totals: LedgerTotals, max_exposure: Decimal, now_ns: int) -> Iterable[Figure]:
    tracker, tally = totals.tracker, totals.tracker.tally
    today = totals.realised_on_day_of(now_ns)
    yield Figure(
        name="Equity",
        value=f"{tracker.equity:.2f}",
        note=f"pUSD, from {tracker.starting:.2f}; settled trades only",
    )
    yield Figure(
        name="P&L",
        value=f"{tally.pnl:+.4f}",
        note=f"fees {tally.fees:.4f} included; {CONCLUSIONS[tally.conclusion]}",
        tone=_sign(tally.pnl),
    )
    yield Figure(name="Today", value=f"{today:+.4f}", note="P&L since midnight UTC", tone=_sign(today))
    yield _win_rate(tally)
    yield Figure(
        name="Exposure",
        value=f"{totals.exposure:.2f}",
        note=f"of at most {max_exposure:.2f} pUSD; {_count(totals.open_positions, 'open position')}",
    )
    yield _drawdown(tracker.drawdown)


def _drawdown(fall: Drawdown) -> Figure:
    share = "" if fall.fraction is None else f", at most {fall.fraction:.2%} of the peak"
    return Figure(
        name="Drawdown",
        value=f"{fall.amount:.4f}",
        note=f"largest fall of equity{share}" if fall.amount else "equity was never below an earlier peak",
    )


def _win_rate(tally: TradeTally) -> Figure:
    settled = f"{_count(tally.n, 'settled trade')}, {tally.pending} pending"
    if tally.win_rate is None or tally.interval is None or tally.break_even is None:
        return Figure(name="Won", value=f"{tally.wins} of {tally.n}", note=settled)
    low, high = tally.interval
    return Figure(
        name="Won",
        value=f"{tally.wins} of {tally.n}",
        note=f"{tally.win_rate:.1%} (95 % interval {low:.0%} to {high:.0%}), break-even"
        f" {tally.break_even:.1%}; {tally.pending} pending",
    )


def _sign(amount: Decimal) -> str:
    return "green" if amount > 0 else "red" if amount < 0 else ""


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _funnel(totals: LedgerTotals) -> Iterable[FunnelRow]:
    stages = Funnel(stages=stage_counts(totals.ends), decisions={}, orders={})
    seen = stages.stages[0].markets
    for stage, markets, stops in funnel_rows(stages):
        yield FunnelRow(stage=stage, markets=markets, share=markets / seen if seen else 0.0, stops=stops)


def _feeds(now: WorkerStatus) -> Iterable[FeedView]:
    for feed in now.feeds[:FEEDS]:
        yield FeedView(
            source=feed.source,
            age=feed_age_text(feed),
            failures=feed.failures,
            reconnects=now.reconnects.get(feed.source, 0),
            up=feed.up,
        )


def _system(now: WorkerStatus) -> Iterable[Line]:
    """What else the worker status has: series, streams, consensus of the spot price, clock, recording."""
    for one, status in zip(now.series, series_statuses(now), strict=False):
        yield Line(label=one.series, text=_series_text(status))
    streams = [f"{name} {now.reconnects[name]}" for name in ("market", "user") if name in now.reconnects]
    yield Line(label="Reconnections", text=", ".join(streams) or "none")
    if now.consensus is not None:
        yield Line(label="Spot consensus", text=_consensus_text(now.consensus))
    if now.clock_skew_s is not None:
        yield Line(
            label="Clock",
            text=f"{now.clock_skew_s:+.2f} s against the venue",
            tone="yellow" if is_off(now.clock_skew_s) else "",
        )
    if (recording := now.recording) is not None:
        failing = bool(recording.error or recording.lost)
        text = f"{recording.frames} frames, {recording.lost} lost {recording.error}".rstrip()
        yield Line(label="Recording", text=text, tone="red" if failing else "")


def _series_text(status: WorkerStatus) -> str:
    """The running market of one of several series."""
    if status.slug is None:
        return "the catalogue does not list the running market yet"
    price = "no price" if status.p is None else f"Up {status.p:.3f}"
    spot = f"spot {status.outside}" if status.outside else ""
    parts = (start_text(status.slug), price, countdown_text(status), quote_text(status), spot)
    return ", ".join(part for part in parts if part)


def _consensus_text(consensus: Consensus) -> str:
    text = f"{consensus.median:,.2f} USD by {', '.join(sorted(consensus.sources))}"
    if not consensus.outliers:
        return text
    excluded = (f"{name} at {price:,.2f}" for name, price in sorted(consensus.outliers.items()))
    return f"{text}; excluded: {', '.join(excluded)}"
