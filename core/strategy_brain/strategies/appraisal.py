"""The trend's favourite and what it costs: the numbers that the later gates judge and the ledger keeps."""

from decimal import Decimal

from core.strategy_brain.book_order import best_first
from core.strategy_brain.fair_value import fair_probability
from models import BrainParams, DecisionContext, Frozen, Level, Outcome


class Appraisal(Frozen, frozen=True):
    """One outcome priced. All is None where p favours neither outcome.

    `asks` is the favourite's own offer, best first; `ask` its best price, `price_cap` the highest price
    an order may carry, both in pUSD a share; `fair` the modelled probability that the favourite wins;
    `edge` fair − ask − fee, in pUSD a share.
    """

    outcome: Outcome | None = None
    asks: tuple[Level, ...] = ()
    ask: Decimal | None = None
    price_cap: Decimal | None = None
    fair: float | None = None
    edge: float | None = None


def favourite(p: Decimal, params: BrainParams) -> Outcome | None:
    """The outcome that the trend filter buys: Up above `trend_up`, Down below `trend_down`, both strict."""
    if p > params.trend_up:
        return Outcome.UP
    if p < params.trend_down:
        return Outcome.DOWN
    return None


def appraise(context: DecisionContext, params: BrainParams) -> Appraisal:
    """Price the favourite of the context, whether or not any gate will let it through."""
    outcome = favourite(context.p, params)
    if outcome is None:
        return Appraisal()
    asks = best_first(context.book(outcome)).asks
    fair = fair_probability(context, outcome)
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
    """The venue's taker fee in pUSD a share: rate × price × (1 − price) (Polymarket fee schedule)."""
    return rate * price * (1 - price)


def price_cap(ask: Decimal, params: BrainParams, tick: Decimal) -> Decimal:
    """The highest price an order may carry: ask + slippage, within the entry limit, on the tick grid.

    Rounded down to the grid, and never above 1 − tick, the highest price the venue accepts.
    """
    ceiling = min(ask + params.max_slippage, params.max_entry_price, 1 - tick)
    return ceiling // tick * tick
