"""Creates the `metadata` dictionary of the processors from the frozen context."""

from typing import Any

from models import DecisionContext

SOURCES = {"spot": "coinbase", "strike": "strike", "put_call": "deribit", "sentiment": "fear_greed"}
"""Name in `absent` of a missing value, by the value's key."""


def metadata_of(context: DecisionContext) -> dict[str, Any]:
    """The `metadata` argument of every processor, made from the context only.

    Keys and values
    ---------------
    market : models.Market
    second : float
        Market second of the decision, 0 to 900.
    tick_buffer : tuple[models.Tick, ...]
        Up mids by market second, oldest first.
    up_book : models.Book
        The Up token's book.
    spot : models.Spot | None
    spot_path : tuple[models.Tick, ...]
        Spot prices in USD by market second, oldest first.
    strike : models.Strike | None
    put_call : models.PutCall | None
    sentiment : models.Sentiment | None
    absent : dict[str, str]
        Reasons of missing external values, by the source's name (see `SOURCES`).

    `BaseSignalProcessor.vote` adds `fair_value`, a FairValue or Abstention, if it has been computed already.

    A missing key means None: a processor that needs it abstains.
    """
    return {
        "market": context.market,
        "second": context.second,
        "tick_buffer": context.ticks,
        "up_book": context.up_book,
        "spot": context.spot,
        "spot_path": context.spot_path,
        "strike": context.strike,
        "put_call": context.put_call,
        "sentiment": context.sentiment,
        "absent": context.absent,
    }


def why_absent(metadata: dict[str, Any], key: str, what: str) -> str:
    """Text for a missing value of `SOURCES`: what is missing, and why, if the context has the reason."""
    cause = metadata.get("absent", {}).get(SOURCES[key])
    return f"no {what}: {cause}" if cause else f"no {what}"
