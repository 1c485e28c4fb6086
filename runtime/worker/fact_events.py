"""Derives what the fills cost, by the venue's balance, from the events of the worker."""

from collections.abc import Callable
from decimal import Decimal

from events import CashChecked, Event, Filled, FillMoved, WorkerStatus
from execution.venue_facts.observations import CashCompared, ChargedFill
from execution.venue_facts.recorder import Observe
from models import Fill, FillStatus, Market


class FactEvents:
    """An observer that compares each change of the cash difference with the fees booked since the last check.

    Parameters
    ----------
    observe : Observe
        Of the venue that holds the account.
    market : Callable[[str], Market | None]
        A market by its slug.
    """

    def __init__(self, observe: Observe, market: Callable[[str], Market | None]) -> None:
        self._observe = observe
        self._market = market
        self._fills: dict[str, Fill] = {}
        # The start of the run has recorded an earlier difference as its cash drift.
        self._before = Decimal(0)

    def start(self) -> None:
        return None

    def handle(self, event: Event) -> None:
        """Collect fills, and report them with the next cash check."""
        match event:
            case Filled(fill=fill):
                self._fills[fill.trade_id] = fill
            case FillMoved(fill=fill, status=FillStatus.FAILED):
                self._fills.pop(fill.trade_id, None)
            case CashChecked(unexplained=unexplained, venue_cash=venue_cash):
                fills, change = self._charged(), unexplained - self._before
                self._fills, self._before = {}, unexplained
                self._observe(CashCompared(change=change, fills=fills, venue_cash=venue_cash))
            case _:
                pass

    def _charged(self) -> tuple[ChargedFill, ...]:
        """The fills; none if the rate of one is unknown, because their sum is then no evidence."""
        markets = {fill.slug: self._market(fill.slug) for fill in self._fills.values()}
        found = [(fill, markets[fill.slug]) for fill in self._fills.values()]
        if not all(market is not None for _, market in found):
            return ()
        return tuple(
            ChargedFill(shares=fill.shares, price=fill.price, rate=market.fee_rate, fee=fill.fee)
            for fill, market in found
            if market is not None
        )

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        del worker_status

    def close(self) -> None:
        return None
