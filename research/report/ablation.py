"""Ablation: the recorded decisions of a run, taken again without one signal processor. Pure.

The brain decides again on every recorded context of a market, in their order, until it buys or refuses for
good. The weight of the removed processor is given to no other. Three limits of the method:

- A trade that is new is priced at the ask of its context with the fee, without a gap, and always filled.
- The risk limits are not applied again; a decision that they refused stays refused.
- Contexts exist until the recorded decision ended the market. Where the brain without the processor would
  have tried again after that, its result is unknown: the market is counted, and has no trade.
"""

from collections.abc import Iterable
from decimal import ROUND_DOWN

from common.constants import PROCESSOR_NAMES
from core.strategy_brain.signal_processors import BaseSignalProcessor, build_processors
from core.strategy_brain.strategies.decide import decide
from core.strategy_brain.strategies.replay import AROUND_THE_BRAIN
from execution.amounts import taker_fee
from execution.ledger import TradeRow
from models import MICRO, RETRIED, BrainParams, Decision, Frozen, OrderState, Outcome, fill_cost
from monitoring.statistics import LEAST_OF_EACH
from research.report.edge import Edge, Estimate, edge, sum_of_markets


class RecordedDecision(Frozen, frozen=True):
    """A decision with its trade, if it has one."""

    id: int
    decision: Decision
    trade: TradeRow | None


class DecidedMarket(Frozen, frozen=True):
    """The decisions of one settled market, oldest first, and its result."""

    decisions: tuple[RecordedDecision, ...]
    winner: Outcome


class Ablation(Frozen, frozen=True):
    """The trades of a run without the votes of one processor.

    Attributes
    ----------
    voted : int
        Markets with a decision in which it had a directional vote.
    dropped, added : int
        Trades that only exist with it, and only without it.
    unknown : int
        Markets without a result, see the module.
    without : Edge or None
        Of the trades without the processor; None if there are none.
    difference : Estimate
        P&L without it minus P&L with it, pUSD.
    measured : bool
        Whether enough markets differ for an interval of the difference.
    """

    source: str
    voted: int
    dropped: int
    added: int
    unknown: int
    without: Edge | None
    difference: Estimate
    measured: bool


def ablations(markets: Iterable[DecidedMarket]) -> list[Ablation]:
    """The ablation of each processor, in the order of their default weights; reads the markets once."""
    tallies = [_Tally(source) for source in PROCESSOR_NAMES]
    for market in markets:
        for tally in tallies:
            tally.add(market)
    return [tally.ablation() for tally in tallies]


class _Tally:
    """The trades without one processor, market by market."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._voters = _Voters(source)
        self._voted = self._dropped = self._added = self._unknown = 0
        self._trades: list[TradeRow] = []
        self._changes: list[float] = []

    def add(self, market: DecidedMarket) -> None:
        before = next((each.trade for each in market.decisions if each.trade is not None), None)
        after, known = _trade_without(self._source, self._voters, market)
        self._voted += any(_voted(self._source, each.decision) for each in market.decisions)
        self._unknown += not known
        self._dropped += before is not None and before != after
        self._added += after is not None and before != after
        self._changes.append(_pnl(after) - _pnl(before))
        if after is not None:
            self._trades.append(after)

    def ablation(self) -> Ablation:
        changes = self._changes
        return Ablation(
            source=self._source,
            voted=self._voted,
            dropped=self._dropped,
            added=self._added,
            unknown=self._unknown,
            without=edge(self._trades),
            difference=sum_of_markets(changes) if any(changes) else Estimate(mean=0.0, low=0.0, high=0.0),
            measured=sum(change != 0 for change in changes) >= LEAST_OF_EACH,
        )


def _pnl(trade: TradeRow | None) -> float:
    return 0.0 if trade is None or trade.pnl is None else float(trade.pnl)


class _Voters:
    """The processors without one, built once for each set of parameters."""

    def __init__(self, removed: str) -> None:
        self._removed = removed
        self._params: BrainParams | None = None
        self._built: tuple[BaseSignalProcessor, ...] = ()

    def of(self, params: BrainParams) -> tuple[BaseSignalProcessor, ...]:
        if params != self._params:
            self._params = params
            self._built = tuple(each for each in build_processors(params) if each.name != self._removed)
        return self._built


def _voted(source: str, decision: Decision) -> bool:
    """Whether the fused signal had a part of this processor: without one, its removal changes nothing."""
    return any(
        vote.source == source
        and vote.weight > 0
        and vote.signal is not None
        and vote.signal.direction.outcome is not None
        for vote in decision.votes
    )


def _trade_without(source: str, voters: _Voters, market: DecidedMarket) -> tuple[TradeRow | None, bool]:
    """The trade without the processor, if there is one, and whether the result is known."""
    known = True
    for each in market.decisions:
        recorded = again = each.decision
        if _voted(source, recorded) and recorded.reason not in AROUND_THE_BRAIN:
            again = decide(recorded.context, recorded.params, voters.of(recorded.params))
        if again.buys and not recorded.buys:
            return _hypothetical(each.id, again, market.winner), True
        if again.buys and each.trade is not None:
            return each.trade, True
        if not again.buys and again.reason not in RETRIED:
            return None, True
        # An order that was not filled, or a refusal: tried again, if there is a further context.
        known = again.buys or recorded.reason in RETRIED
    return None, known


def _hypothetical(decision_id: int, decision: Decision, winner: Outcome) -> TradeRow:
    """A trade of the whole position at the ask, settled."""
    market, ask, outcome = decision.context.market, decision.ask, decision.outcome
    if ask is None or outcome is None or decision.price_cap is None:
        raise ValueError(f"decision {decision_id} does not buy")
    usd = decision.params.position_size_usd
    shares = (usd / ask).quantize(MICRO, ROUND_DOWN)
    cost = fill_cost(shares, ask)
    fee = taker_fee(shares, ask, market.fee_rate)
    payout = shares if outcome is winner else shares * 0
    return TradeRow(
        intent_id=f"without-{decision_id}",
        decision_id=decision_id,
        run_id=0,
        session="",
        slug=market.slug,
        condition_id=market.condition_id,
        market_start=market.start,
        market_end=market.end,
        side=outcome,
        state=OrderState.MATCHED,
        created_ns=decision.context.now_ns,
        filled_ns=decision.context.now_ns,
        usd=usd,
        ask=ask,
        price_cap=decision.price_cap,
        shares=shares,
        cost=cost,
        fee=fee,
        p=decision.context.p,
        fair=decision.fair,
        edge=decision.edge,
        score=None if decision.fused is None else decision.fused.score,
        confidence=None if decision.fused is None else decision.fused.confidence,
        rule=market.rule,
        winner=winner,
        settled_ns=decision.context.now_ns,
        payout=payout,
        pnl=payout - cost - fee,
        origin=market.origin,
        version=market.version,
    )
