"""Risk limits, computed from the ledger so that they survive a restart."""

from decimal import Decimal

from common.singleton import Singleton
from common.utc_time import utc_midnight_ns
from execution.ledger import LedgerReader
from models import Frozen

ZERO = Decimal(0)


class RiskLimits(Frozen, frozen=True):
    """All in pUSD except the counts and `max_drawdown_pct`, a fraction of the highest balance."""

    max_position_size: Decimal
    max_total_exposure: Decimal
    max_positions: int
    max_loss_per_day: Decimal
    max_drawdown_pct: Decimal


class RiskState(Frozen, frozen=True):
    """Inputs from the ledger. Unsettled and unknown stakes count at their worst case: lost, with fees."""

    balance: Decimal
    """Cash plus open stakes at cost."""
    peak_balance: Decimal
    exposure: Decimal = ZERO
    positions: int = 0
    day_pnl: Decimal = ZERO
    """Settled P&L of this UTC day, without the open stakes."""


def refusal(limits: RiskLimits, state: RiskState, stake: Decimal) -> str | None:
    """Why `stake` pUSD (fee included) may not be risked now, or None if it may.

    The checks run in the order position, count, exposure, day loss, drawdown.
    """
    if stake > limits.max_position_size + _fee_allowance(limits):
        return f"stake ${stake} is above MAX_POSITION_SIZE (${limits.max_position_size})"
    if state.positions >= limits.max_positions:
        return f"{state.positions} positions are open, MAX_POSITIONS is {limits.max_positions}"
    if state.exposure + stake > limits.max_total_exposure:
        return (
            f"exposure ${state.exposure} with ${stake} more would exceed "
            f"MAX_TOTAL_EXPOSURE (${limits.max_total_exposure})"
        )
    worst_day = state.day_pnl - state.exposure - stake
    if -worst_day > limits.max_loss_per_day:
        return (
            f"this UTC day could end at ${worst_day} (settled ${state.day_pnl}, open ${state.exposure}, "
            f"this ${stake}), MAX_LOSS_PER_DAY is ${limits.max_loss_per_day}"
        )
    drawdown = _drawdown(state)
    if drawdown > limits.max_drawdown_pct:
        return (
            f"balance ${state.balance} is {drawdown:.1%} below its peak ${state.peak_balance}, "
            f"MAX_DRAWDOWN_PCT is {limits.max_drawdown_pct:%}"
        )
    return None


def _fee_allowance(limits: RiskLimits) -> Decimal:
    # The position size is the stake before the fee, which is at most 7 % of it on a crypto market
    # (rate × (1 − p) per dollar, so below the rate itself).
    return limits.max_position_size * Decimal("0.08")


def _drawdown(state: RiskState) -> Decimal:
    if state.peak_balance <= 0:
        return ZERO
    return (state.peak_balance - state.balance) / state.peak_balance


class RiskEngine:
    """Checks the limits with the ledger's figures."""

    def __init__(self, limits: RiskLimits) -> None:
        self.limits = limits

    def refusal(self, reader: LedgerReader, stake: Decimal, now_ns: int) -> str | None:
        """Why `stake` pUSD, fee included, may not be risked now, or None. Called on the ledger's thread."""
        return refusal(self.limits, self.state(reader, now_ns), stake)

    def state(self, reader: LedgerReader, now_ns: int) -> RiskState:
        """The inputs of the limits, from the ledger. Called on the ledger's thread."""
        figures = reader.risk_figures(utc_midnight_ns(now_ns))
        balance, peak = reader.balances()
        return RiskState(
            exposure=figures.unsettled,
            positions=figures.open_positions,
            day_pnl=figures.realised,
            balance=balance,
            peak_balance=peak,
        )


_singleton = Singleton(RiskEngine)
get_risk_engine = _singleton.get
reset_risk_engine = _singleton.reset
