"""Prices the favourite: the numbers used by the later gates and stored in the ledger."""

from decimal import Decimal

from core.strategy_brain.book_order import best_first
from core.strategy_brain.fair_value import FairValue, fair_probability
from core.strategy_brain.refusals import Abstention
from models import BrainParams, DecisionContext, Frozen, Level, Outcome


class Appraisal(Frozen, frozen=True):
    """The favourite with its prices. All fields are None if p favours neither outcome.

    `asks` are the asks of the favourite's own book, best first; `ask` is the best price, `price_cap` the
    highest price of an order, both in pUSD per share; `fair` the modelled probability that the favourite
    wins; `edge` is fair − ask − fee, in pUSD per share.
    """

    outcome: Outcome | None = None
    asks: tuple[Level, ...] = ()
    ask: Decimal | None = None
    price_cap: Decimal | None = None
    fair: float | None = None
    edge: float | None = None


def favourite(p: Decimal, params: BrainParams) -> Outcome | None:
    """The favourite by the trend filter: Up above `trend_up`, Down below `trend_down`, both exclusive."""
    if p > params.trend_up:
        return Outcome.UP
    if p < params.trend_down:
        return Outcome.DOWN
    return None


def appraise(
    context: DecisionContext, params: BrainParams, known: FairValue | Abstention | None = None
) -> Appraisal:
    """Price the favourite of the context, independent of the gates.

    `known` is the fair value of this context if it has been computed already.
    """
    outcome = favourite(context.p, params)
    if outcome is None:
        return Appraisal()
    asks = best_first(context.book(outcome)).asks
    fair = fair_probability(context, outcome, known)
    if not asks:
        return Appraisal(outcome=outcome, fair=fair)
    ask = asks[0].price
    cost = ask + fee_per_share(ask, context.market.fee_rate)
    return Appraisal(
        outcome=outcome,
        asks=asks,
        ask=ask,
        price_cap=price_cap(ask, params, context.market.tick),
        fair=fair,
        edge=None if fair is None else fair - float(cost),
    )


def fee_per_share(price: Decimal, rate: Decimal) -> Decimal:
    """The venue's taker fee in pUSD per share: rate × price × (1 − price) (Polymarket fee schedule)."""
    return rate * price * (1 - price)


def price_cap(ask: Decimal, params: BrainParams, tick: Decimal) -> Decimal:
    """The highest price of an order: ask + slippage, within the entry limit, on the tick grid.

    Rounded down to the grid, and never above 1 − tick, the highest price the venue accepts.
    """
    ceiling = min(ask + params.max_slippage, params.max_entry_price, 1 - tick)
    return ceiling // tick * tick
