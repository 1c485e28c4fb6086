"""Reduces Deribit's option chain to put/call open interest, of all and of near expiries."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from data_sources.parsing import SECOND, decode_object, epoch_ns, mapping, number, sequence, shown, text
from data_sources.types import MalformedPayload
from errors import Temporary
from models import Frozen, PutCall

SOURCE = "deribit"
DAY_NS = 86_400 * SECOND
EXPIRY_HOUR = 8
"""Expiry time of Deribit's options: 08:00 UTC."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# BTC-28MAR25-90000-C; linear options carry their settlement currency and a "d" for a decimal point:
# XRP_USDC-28MAR25-0d55-P.
_NAME = re.compile(r"([A-Z0-9_]+)-([0-9]{1,2})([A-Z]{3})([0-9]{2})-[0-9]+(?:d[0-9]+)?-([PC])")


class Option(Frozen, frozen=True):
    """The parts of an instrument's name."""

    underlying: str
    expiry_ns: int
    is_put: bool


class OpenInterest(Frozen, frozen=True):
    """Open interest of puts and calls in contracts of the asset."""

    puts: Decimal = Decimal(0)
    calls: Decimal = Decimal(0)

    def ratio(self, minimum: Decimal) -> float | None:
        """Puts per call; None below `minimum` contracts in total, or without calls."""
        if self.calls <= 0 or self.puts + self.calls < minimum:
            return None
        return float(self.puts / self.calls)


def parse_instrument(name: str) -> Option | None:
    """The option with this name; None for futures, spreads and other instruments."""
    match = _NAME.fullmatch(name)
    if match is None or match[3] not in _MONTHS:
        return None
    try:
        expiry = datetime(
            2000 + int(match[4]), _MONTHS.index(match[3]) + 1, int(match[2]), EXPIRY_HOUR, tzinfo=UTC
        )
    except ValueError:
        return None
    return Option(underlying=match[1], expiry_ns=int(expiry.timestamp()) * SECOND, is_put=match[5] == "P")


def parse_book_summary(
    body: bytes, *, underlying: str, now_ns: int, max_dte: int, min_open_interest: Decimal
) -> PutCall:
    """`GET public/get_book_summary_by_currency` for options.

    Parameters
    ----------
    underlying : str
        Instrument prefix, such as BTC or SOL_USDC; other rows of the currency are ignored.
    now_ns : int
        Expired options are ignored; expiries at most `max_dte` whole days ahead are the near ones.
    min_open_interest : Decimal
        Minimum number of contracts of puts and calls together. It applies to the totals: applied to every
        strike it would discard most of the chain.

    Raises
    ------
    Temporary
        If the chain has too few contracts for a ratio, or Deribit reports an error; also MalformedPayload.
    """
    payload = decode_object(SOURCE, body)
    if payload.get("error") is not None:
        raise Temporary(f"{SOURCE}: the answer is an error: {shown(payload['error'])}")
    overall = near = OpenInterest()
    for row in sequence(SOURCE, "result", payload.get("result")):
        entry = mapping(SOURCE, "row of result", row)
        option = parse_instrument(text(SOURCE, "instrument_name", entry.get("instrument_name")))
        if option is None or option.underlying != underlying or option.expiry_ns <= now_ns:
            continue
        interest = _open_interest(entry)
        overall = _plus(overall, option, interest)
        if (option.expiry_ns - now_ns) // DAY_NS <= max_dte:
            near = _plus(near, option, interest)
    ratio = overall.ratio(min_open_interest)
    if ratio is None:
        raise Temporary(
            f"{SOURCE}: {underlying} options are too thin for a ratio: {overall.puts} puts and"
            f" {overall.calls} calls open, {min_open_interest} needed"
        )
    return PutCall(
        source=SOURCE,
        overall=ratio,
        short=near.ratio(min_open_interest),
        put_open_interest=float(overall.puts),
        call_open_interest=float(overall.calls),
        source_ns=_answered_ns(payload, now_ns),
        received_ns=now_ns,
    )


def _open_interest(entry: dict[str, Any]) -> Decimal:
    value = entry.get("open_interest")
    interest = Decimal(0) if value is None else number(SOURCE, "open_interest", value)
    if interest < 0:
        raise MalformedPayload(f"{SOURCE}: negative open_interest {shown(value)}")
    return interest


def _plus(total: OpenInterest, option: Option, interest: Decimal) -> OpenInterest:
    if option.is_put:
        return OpenInterest(puts=total.puts + interest, calls=total.calls)
    return OpenInterest(puts=total.puts, calls=total.calls + interest)


def _answered_ns(payload: dict[str, Any], received_ns: int) -> int:
    """Deribit's time of the answer, `usOut` in microseconds; the time of receipt if it is missing."""
    stated = payload.get("usOut")
    return received_ns if stated is None else epoch_ns(SOURCE, "usOut", stated, 1000)
