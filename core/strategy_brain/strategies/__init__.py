"""From the state of a market to a decision: view, window, gates, decision."""

from .appraisal import favourite, fee_per_share, price_cap
from .decide import decide
from .market_view import MarketView
from .window import in_window

__all__ = [
    "MarketView",
    "decide",
    "favourite",
    "fee_per_share",
    "in_window",
    "price_cap",
]
