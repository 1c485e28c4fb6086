"""The venue's clock at its start, on disk, and in requests that change it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from venue.clock import SECOND, ClockState, VenueClock, anchored, real_time, resumed
from venue.ledger import VenueLedger
from venue.series import BTC_15M, Series

LEASE_SECONDS = 0.5
"""Wall seconds between two writes of the clock."""
SLOWEST, FASTEST = 0.01, 10_000.0
"""Market seconds per wall second."""
LONGEST_STEP = 7 * 86_400
"""Maximum step of one request in market seconds: every market in it is played."""
LATEST = 1e11
"""Market seconds since the epoch."""
_STATE = "clock"
_STOPPED_AT = "market_ns"


class ClockOptions(Protocol):
    """The venue options of the clock; see `VenueOptions`."""

    @property
    def speed(self) -> float: ...
    @property
    def from_market(self) -> int: ...
    @property
    def start_at(self) -> int | None: ...
    @property
    def real_time(self) -> bool: ...
    @property
    def hold(self) -> bool: ...
    @property
    def resume(self) -> bool: ...
    @property
    def state(self) -> Path | None: ...
    @property
    def start_series(self) -> Series | None: ...


class ClockRefused(ValueError):
    """A request that this clock cannot carry out."""


class ClockRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A change of the clock. `advance` in market seconds, `to` in market seconds since the epoch."""

    held: bool | None = None
    speed: float | None = None
    advance: float | None = None
    to: float | None = None


def opening_clock(
    ledger: VenueLedger,
    options: ClockOptions,
    now_ns: Callable[[], int] = time.time_ns,
    series: Series = BTC_15M,
) -> VenueClock:
    """The clock at a venue's start; `series` is its first one.

    With `real_time`, market time is the machine's. With `resume`, it is that of the ended venue as if it had
    never ended, if the folder contains it. Otherwise it begins anew, after the time that has passed.
    """
    if options.real_time:
        return real_time(now_ns)
    state = ledger.text(_STATE) if options.resume else None
    if state is not None:
        return resumed(msgspec.json.decode(state, type=ClockState), now_ns)
    stopped_at, first_start = ledger.meta(_STOPPED_AT), ledger.meta("first_start")
    if stopped_at is not None and first_start is not None:
        stopped_at = max(stopped_at, series.next_start(first_start, options.from_market) * SECOND)
    started = options.start_series or series
    return anchored(options.speed, stopped_at, options.start_at, now_ns, held=options.hold, series=started)


def save_clock(ledger: VenueLedger, clock: VenueClock, *, ahead_seconds: float = 0.0) -> None:
    """Write the clock to disk.

    `ahead_seconds` (wall) is how long the venue may run before the next write: a killed venue must not go
    back in market time when it begins anew.
    """
    state = clock.state()
    ahead = 0 if state.held else int(ahead_seconds * state.speed * SECOND)
    with ledger.transaction():
        ledger.set_text(_STATE, msgspec.json.encode(state).decode())
        ledger.set_meta(_STOPPED_AT, state.market_ns + ahead)


def target_ns(wanted: ClockRequest, clock: VenueClock) -> int | None:
    """Market time that a request steps to, in nanoseconds since the epoch; None if it does not step.

    Raises
    ------
    ClockRefused
        If the request is empty, contradicts itself, or contains a speed or a step out of bounds.
    """
    if wanted == ClockRequest():
        raise ClockRefused("name at least one of held, speed, advance and to")
    if wanted.speed is not None and not SLOWEST <= wanted.speed <= FASTEST:
        raise ClockRefused(f"speed {wanted.speed:g} is outside {SLOWEST:g} to {FASTEST:g}")
    if any(abs(time or 0) > LATEST for time in (wanted.advance, wanted.to)):
        raise ClockRefused(f"market time is at most {LATEST:.0f} seconds since the epoch")
    if wanted.advance is not None and wanted.to is not None:
        raise ClockRefused("give either advance or to, not both")
    now = clock.market_ns()
    if wanted.advance is not None:
        target = now + round(wanted.advance * SECOND)
    elif wanted.to is not None:
        target = round(wanted.to * SECOND)
    else:
        return None
    if target < now:
        raise ClockRefused(
            f"market time is {now / SECOND:.3f} and never goes back; {target / SECOND:.3f} is past"
        )
    if target - now > LONGEST_STEP * SECOND:
        raise ClockRefused(f"a step is at most {LONGEST_STEP} market seconds; take several")
    return target
