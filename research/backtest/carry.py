"""What a group of markets takes over from the groups before it, and whether that changes its result.

Groups are independent of each other except for the account's money and the risk limits. So a group can be
played before the ones before it have ended, with an assumed carry, and is played again only if the actual one
would have changed a check.
"""

from decimal import Decimal

import msgspec

from common.utc_time import utc_midnight_ns
from execution.ledger import LedgerReader
from execution.risk_engine import GroupState, RiskEngine, RiskLimits, RiskState, refusal
from models import Frozen, series_of

ZERO = Decimal(0)


class MarketResult(Frozen, frozen=True):
    """P&L of a settled market, pUSD."""

    settled_ns: int
    pnl: Decimal


class Carry(Frozen, frozen=True):
    """State of an account between two groups, when all markets are settled.

    Attributes
    ----------
    cash, peak : Decimal
        Balance, and its maximum so far, pUSD.
    results : tuple of MarketResult
        Of the last UTC day.
    halted : str or None
        Why no order is sent any more.
    """

    cash: Decimal
    peak: Decimal
    results: tuple[MarketResult, ...] = ()
    halted: str | None = None

    def after(self, results: tuple[MarketResult, ...], halted: str | None) -> "Carry":
        """The state after a group with these results."""
        cash, peak = self.cash, self.peak
        for result in results:
            cash += result.pnl
            peak = max(peak, cash)
        known = (*self.results, *results)
        day_ns = utc_midnight_ns(known[-1].settled_ns) if known else 0
        return Carry(
            cash=cash,
            peak=peak,
            results=tuple(result for result in known if result.settled_ns >= day_ns),
            halted=halted,
        )


class RiskCheck(Frozen, frozen=True):
    """A check of the risk limits: the group's own figures, relative to a balance of 0, and the result."""

    at_ns: int
    slug: str
    stake: Decimal
    own: RiskState
    refused: str | None


class BalanceCheck(Frozen, frozen=True):
    """A check of an order's cost against the group's own cash, relative to the carry."""

    own: Decimal
    needed: Decimal
    enough: bool


def with_carry(own: RiskState, carry: Carry, at_ns: int, slug: str) -> RiskState:
    """The figures of the whole account. All its markets are of the series of `slug`."""
    day_ns = utc_midnight_ns(at_ns)
    earlier = sum((result.pnl for result in carry.results if result.settled_ns >= day_ns), ZERO)
    series = series_of(slug)
    group = own.series.get(series, GroupState()).plus(GroupState(day_pnl=earlier))
    return msgspec.structs.replace(
        own,
        series={series: group},
        balance=own.balance + carry.cash,
        peak_balance=max(carry.peak, own.peak_balance + carry.cash),
        day_pnl=own.day_pnl + earlier,
    )


class CarriedRiskEngine(RiskEngine):
    """The risk engine of a group, which counts the groups before it, and keeps its checks."""

    def __init__(self, limits: RiskLimits, carry: Carry) -> None:
        super().__init__(limits)
        self._carry = carry
        self.checks: list[RiskCheck] = []

    def refusal(self, reader: LedgerReader, stake: Decimal, now_ns: int, slug: str = "") -> str | None:
        state = self.state(reader, now_ns)
        own = msgspec.structs.replace(
            state,
            balance=state.balance - self._carry.cash,
            peak_balance=state.peak_balance - self._carry.cash,
        )
        refused = refusal(self.limits, with_carry(own, self._carry, now_ns, slug), stake, slug)
        self.checks.append(RiskCheck(at_ns=now_ns, slug=slug, stake=stake, own=own, refused=refused))
        return refused


def still_valid(
    risk: tuple[RiskCheck, ...], balances: tuple[BalanceCheck, ...], limits: RiskLimits, carry: Carry
) -> bool:
    """Whether every check of a group has the same result under this carry."""
    return (
        carry.halted is None
        and all(
            refusal(limits, with_carry(check.own, carry, check.at_ns, check.slug), check.stake, check.slug)
            == check.refused
            for check in risk
        )
        and all((check.own + carry.cash >= check.needed) is check.enough for check in balances)
    )
