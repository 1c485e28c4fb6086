"""Risk limits, computed from the ledger so that they survive a restart."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from common.singleton import Singleton
from common.utc_time import utc_midnight_ns
from execution.ledger import LedgerReader
from models import Frozen, Series, series_of

ZERO = Decimal(0)


class RiskLimits(Frozen, frozen=True):
    """All in pUSD except the counts and `max_drawdown_pct`, a fraction of the highest balance.

    The first five hold for all series together: every position counts with its whole stake, whatever its
    asset and its side, because the assets move together. The others hold for the positions of one asset, of
    any length and side, and for those of one series; None without such a limit.
    """

    max_position_size: Decimal
    max_total_exposure: Decimal
    max_positions: int
    max_loss_per_day: Decimal
    max_drawdown_pct: Decimal
    max_exposure_per_asset: Decimal | None = None
    max_positions_per_asset: int | None = None
    max_exposure_per_series: Decimal | None = None
    max_positions_per_series: int | None = None
    max_loss_per_day_per_series: Decimal | None = None


class GroupState(Frozen, frozen=True):
    """The inputs of the limits that some of the markets have in common; fields as in `RiskState`."""

    exposure: Decimal = ZERO
    positions: int = 0
    day_pnl: Decimal = ZERO

    def plus(self, other: "GroupState") -> "GroupState":
        return GroupState(
            exposure=self.exposure + other.exposure,
            positions=self.positions + other.positions,
            day_pnl=self.day_pnl + other.day_pnl,
        )


class RiskState(Frozen, frozen=True):
    """Inputs from the ledger. Unsettled and unknown stakes count at their worst case: lost, with fees."""

    balance: Decimal
    """Cash plus open stakes at cost."""
    peak_balance: Decimal
    exposure: Decimal = ZERO
    positions: int = 0
    day_pnl: Decimal = ZERO
    """Settled P&L of this UTC day, without the open stakes."""
    series: Mapping[Series, GroupState] = {}
    """The part of each series that has one."""

    def with_orders(self, orders: Sequence[tuple[str, Decimal]]) -> "RiskState":
        """The state with further orders that may cost the most given, as (slug, pUSD)."""
        series = dict(self.series)
        for slug, worst in orders:
            one = series.get(series_of(slug), GroupState())
            series[series_of(slug)] = one.plus(GroupState(exposure=worst, positions=1))
        return msgspec.structs.replace(
            self,
            exposure=self.exposure + sum((worst for _, worst in orders), ZERO),
            positions=self.positions + len(orders),
            series=series,
        )


class GroupLimits(Frozen, frozen=True):
    """The limits of some of the markets; None without one.

    `name` names the group in a refusal, `suffix` ends the names of its settings.
    """

    name: str
    suffix: str
    state: GroupState
    max_exposure: Decimal | None
    max_positions: int | None
    max_loss_per_day: Decimal | None = None


def refusal(limits: RiskLimits, state: RiskState, stake: Decimal, slug: str = "") -> str | None:
    """Why `stake` pUSD (fee included) may not be risked now, or None if it may.

    The checks run in the order position, count, exposure, day loss, drawdown, then the limits of the market's
    asset and of its series.

    Parameters
    ----------
    slug : str
        The market; empty to check only the limits that hold for all markets.
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
    groups = _groups(limits, state, series_of(slug)) if slug else ()
    return next((why for group in groups if (why := _group_refusal(group, stake)) is not None), None)


def _groups(limits: RiskLimits, state: RiskState, series: Series) -> Iterator[GroupLimits]:
    """The limits of a market's asset, and of its series."""
    asset = GroupState()
    for one, part in state.series.items():
        if one.asset == series.asset:
            asset = asset.plus(part)
    yield GroupLimits(
        name=series.asset,
        suffix="PER_ASSET",
        state=asset,
        max_exposure=limits.max_exposure_per_asset,
        max_positions=limits.max_positions_per_asset,
    )
    yield GroupLimits(
        name=series.name,
        suffix="PER_SERIES",
        state=state.series.get(series, GroupState()),
        max_exposure=limits.max_exposure_per_series,
        max_positions=limits.max_positions_per_series,
        max_loss_per_day=limits.max_loss_per_day_per_series,
    )


def _group_refusal(group: GroupLimits, stake: Decimal) -> str | None:
    """Why `stake` pUSD may not be risked in a market of a group now, or None if it may."""
    state = group.state
    if group.max_positions is not None and state.positions >= group.max_positions:
        return (
            f"{state.positions} positions of {group.name} are open,"
            f" MAX_POSITIONS_{group.suffix} is {group.max_positions}"
        )
    if group.max_exposure is not None and state.exposure + stake > group.max_exposure:
        return (
            f"exposure ${state.exposure} of {group.name} with ${stake} more would exceed"
            f" MAX_EXPOSURE_{group.suffix} (${group.max_exposure})"
        )
    worst_day = state.day_pnl - state.exposure - stake
    if group.max_loss_per_day is not None and -worst_day > group.max_loss_per_day:
        return (
            f"this UTC day could end at ${worst_day} for {group.name} (settled ${state.day_pnl}, open"
            f" ${state.exposure}, this ${stake}),"
            f" MAX_LOSS_PER_DAY_{group.suffix} is ${group.max_loss_per_day}"
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

    def refusal(self, reader: LedgerReader, stake: Decimal, now_ns: int, slug: str = "") -> str | None:
        """Why `stake` pUSD, fee included, may not be risked in a market now; None if it may.

        Called on the ledger's thread.
        """
        return refusal(self.limits, self.state(reader, now_ns), stake, slug)

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
            series={
                series: GroupState(
                    exposure=part.unsettled, positions=part.open_positions, day_pnl=part.realised
                )
                for series, part in figures.series.items()
            },
        )


_singleton = Singleton(RiskEngine)
get_risk_engine = _singleton.get
reset_risk_engine = _singleton.reset
