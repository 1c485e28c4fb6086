"""Encodes decisions as rows of JSON, and repeats them from these rows."""

import msgspec

from core.strategy_brain.strategies.replay import replay as take_again
from models import Decision

_DECODER = msgspec.json.Decoder(Decision)


def encode(decision: Decision) -> bytes:
    """The decision with all its inputs as JSON; Decimals as strings, so that nothing is rounded."""
    return msgspec.json.encode(decision)


def decode(row: bytes) -> Decision:
    """The decision that `encode` wrote. Raises msgspec.DecodeError for other rows."""
    return _DECODER.decode(row)


def replay(row: bytes) -> Decision:
    """Decide again from the row's context and parameters alone, with the six processors.

    Equal to the row for every decision made by `decide`. For a row whose reason came from a step outside the
    brain (mode, tradability, risk), the result is the brain's own decision.

    Raises
    ------
    msgspec.DecodeError
        If the row is not an encoded decision.
    """
    return take_again(decode(row)).again
