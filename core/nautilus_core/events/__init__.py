"""What the rooms tell each other while a market goes by: plain facts, without Nautilus."""

from decimal import Decimal

from models import Decision, Fill, Frozen, Market, OrderIntent, OrderState, Settlement


class MarketOpened(Frozen, frozen=True):
    """This market is now the running one."""

    market: Market


class MarketRefused(Frozen, frozen=True):
    """A listed market is left alone."""

    slug: str
    why: str


class Decided(Frozen, frozen=True):
    """A decision was recorded; `final` says that no other will be tried in this market."""

    decision: Decision
    final: bool


class OrderSent(Frozen, frozen=True):
    intent: OrderIntent


class OrderMoved(Frozen, frozen=True):
    """An order's state changed, for the reason given."""

    intent: OrderIntent
    state: OrderState
    reason: str


class Filled(Frozen, frozen=True):
    fill: Fill


class Settled(Frozen, frozen=True):
    """A market has its official outcome; `pnl` is None if the bot had no position in it."""

    market: Market
    settlement: Settlement
    pnl: Decimal | None
    total_pnl: Decimal


class Halted(Frozen, frozen=True):
    """No new position until a person acts."""

    why: str


Event = MarketOpened | MarketRefused | Decided | OrderSent | OrderMoved | Filled | Settled | Halted
