"""The stand-in for a tick scheme that a worker does not import."""

import pytest
from nautilus_trader.model.tick_scheme.base import TickScheme

from core.nautilus_core.tick_schemes import WithoutPrices


def test_the_scheme_is_registered_by_its_name_and_calculates_nothing() -> None:
    """NautilusTrader registers it as a scheme; an instrument that used it would get no price instead of a
    wrong one."""
    scheme = WithoutPrices("stand-in").TOPIX100_TICK_SCHEME
    assert isinstance(scheme, TickScheme)
    assert (scheme.name, str(scheme.min_price), str(scheme.max_price)) == (
        "TOPIX100",
        "0.1000",
        "130000000.0000",
    )
    for method in (scheme.next_ask_price, scheme.next_bid_price):
        with pytest.raises(NotImplementedError):
            method(100.0)
