"""Accepts plausible values; quarantines the others, with the reason, so that no decision uses them."""

import itertools
import logging
import math
from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal

from data_sources.types import BookTicker, ChainPrice, Ticker
from models import Frozen, PutCall, Sentiment, Spot

_log = logging.getLogger(__name__)

type Value = Spot | Ticker | BookTicker | ChainPrice | Sentiment | PutCall

PRICE_BOUNDS = {
    "btc": (Decimal(1_000), Decimal(1_000_000)),
    "eth": (Decimal(50), Decimal(100_000)),
    "sol": (Decimal(1), Decimal(10_000)),
    "xrp": (Decimal("0.05"), Decimal(1_000)),
    "doge": (Decimal("0.001"), Decimal(100)),
    "bnb": (Decimal(10), Decimal(100_000)),
    "hype": (Decimal("0.5"), Decimal(10_000)),
    "zec": (Decimal(1), Decimal(100_000)),
}
"""Range in USD outside of which a price is an error: a wrong unit or a wrong asset, not a market move."""

MAX_JUMP = Decimal("0.20")
MAX_SPREAD = Decimal("0.01")
MAX_AGE_S = 300.0
MAX_MOOD_AGE_S = 3600.0
MAX_INDEX_AGE_S = 26 * 3600.0
"""Fear & Greed is published once a day at midnight UTC; with the one-hour limit of other sentiment values it
would be stale 23 hours of the day. It is stale if a publication is two hours overdue."""

DAILY_INDEX = "fear_greed"
MAX_Z = 3.0
MIN_POINTS = 10
HISTORY = 100
QUARANTINE = 100


class ValidationResult(Frozen, frozen=True):
    """Errors reject a value; warnings are logged and accept it."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors


class Quarantined(Frozen, frozen=True):
    """A rejected value with the reason and the time."""

    value: Value
    errors: tuple[str, ...]
    at_ns: int


class DataValidator:
    """Validates values of one asset against fixed limits and against the source's earlier values.

    Parameters
    ----------
    asset : str
        Selects the price range.
    now_ns : callable
        The machine's clock in nanoseconds.

    Attributes
    ----------
    quarantine : deque of Quarantined
        The last hundred rejected values.
    quarantined, warned : Counter
        Number of values that were rejected, or accepted with a warning, by source.
    """

    def __init__(self, asset: str, now_ns: Callable[[], int]) -> None:
        self._low, self._high = PRICE_BOUNDS[asset]
        self._now_ns = now_ns
        self._history: dict[tuple[str, str], deque[Decimal]] = {}
        self.quarantine: deque[Quarantined] = deque(maxlen=QUARANTINE)
        self.quarantined: Counter[str] = Counter()
        self.warned: Counter[str] = Counter()

    def admit(self, value: Value) -> ValidationResult:
        """Validate a value; store it for later comparisons, or in the quarantine.

        A caller uses a value only if the result is `ok`.
        """
        result = self.check(value)
        if not result.ok:
            self.quarantined[value.source] += 1
            self.quarantine.append(Quarantined(value=value, errors=result.errors, at_ns=self._now_ns()))
            _log.warning("quarantined %s: %s", value.source, "; ".join(result.errors))
            return result
        if result.warnings:
            self.warned[value.source] += 1
            _log.debug("%s: %s", value.source, "; ".join(result.warnings))
        price = _price(value)
        if price is not None:
            self._past(value).append(price)
        return result

    def check(self, value: Value) -> ValidationResult:
        """Validate a value without storing it."""
        errors: list[str] = []
        warnings = [*self._check_age(value)]
        price = _price(value)
        if price is not None:
            errors += self._check_bounds(price)
            warnings += self._check_move(price, self._past(value))
        if isinstance(value, Ticker | BookTicker):
            errors += _check_sides(value.bid, value.ask)
            warnings += _check_spread(value.bid, value.ask)
        errors += _check_amounts(value)
        if isinstance(value, Sentiment) and not 0 <= value.score <= 100:
            errors.append(f"sentiment {value.score:g} is outside 0 to 100")
        return ValidationResult(errors=tuple(errors), warnings=tuple(warnings))

    def _past(self, value: Value) -> deque[Decimal]:
        # Trades, quotes and averages of a source are separate series.
        kind = value.kind if isinstance(value, ChainPrice) else type(value).__name__
        return self._history.setdefault((value.source, kind), deque(maxlen=HISTORY))

    def _check_bounds(self, price: Decimal) -> list[str]:
        if self._low <= price <= self._high:
            return []
        return [f"price {price} is outside {self._low} to {self._high}"]

    def _check_age(self, value: Value) -> list[str]:
        age_s = (self._now_ns() - value.source_ns) / 1e9
        limit_s = age_limit_s(value)
        return [f"{age_s:.0f} s old, more than {limit_s:.0f}"] if age_s > limit_s else []

    def _check_move(self, price: Decimal, past: deque[Decimal]) -> list[str]:
        if not past or price <= 0:
            return []
        warnings = []
        jump = abs(price / past[-1] - 1)
        if jump > MAX_JUMP:
            warnings.append(f"moved by {jump:.1%} at once")
        score = z_score(past, price)
        if score is not None and abs(score) > MAX_Z:
            warnings.append(f"return is {score:.1f} standard deviations from its mean")
        return warnings


def age_limit_s(value: Value) -> float:
    """Age in seconds above which a value has a warning."""
    if isinstance(value, Sentiment):
        # A blend with the news is as slow as the index in it.
        return MAX_INDEX_AGE_S if value.source.startswith(DAILY_INDEX) else MAX_MOOD_AGE_S
    return MAX_AGE_S


def z_score(past: deque[Decimal], price: Decimal) -> float | None:
    """Deviation of the return to `price` from the mean of the returns in `past`, in standard deviations.

    It uses returns, not prices: a price is a random walk, so that its level is unusual in any trend. None
    with fewer than `MIN_POINTS` prices, or if they never changed.
    """
    if len(past) < MIN_POINTS:
        return None
    prices = [float(each) for each in past]
    returns = [math.log(b / a) for a, b in itertools.pairwise(prices)]
    mean = math.fsum(returns) / len(returns)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in returns) / len(returns))
    if spread == 0:
        return None
    return (math.log(float(price) / prices[-1]) - mean) / spread


def _price(value: Value) -> Decimal | None:
    if isinstance(value, Spot | Ticker | ChainPrice):
        return value.price
    return value.mid if isinstance(value, BookTicker) else None


def _check_sides(bid: Decimal, ask: Decimal) -> list[str]:
    return [f"bid {bid} is above ask {ask}"] if bid > ask else []


def _check_spread(bid: Decimal, ask: Decimal) -> list[str]:
    spread = (ask - bid) * 2 / (ask + bid) if ask + bid > 0 else Decimal(0)
    return [f"spread is {spread:.2%}"] if spread > MAX_SPREAD else []


def _check_amounts(value: Value) -> list[str]:
    """Negative volumes, sizes or open interest."""
    amounts: dict[str, Decimal | float] = {}
    if isinstance(value, Ticker):
        amounts = {"volume": value.volume}
    elif isinstance(value, BookTicker):
        amounts = {"bid size": value.bid_size, "ask size": value.ask_size}
    elif isinstance(value, PutCall):
        amounts = {
            "put open interest": value.put_open_interest,
            "call open interest": value.call_open_interest,
        }
    return [f"{name} is negative: {amount}" for name, amount in amounts.items() if amount < 0]
