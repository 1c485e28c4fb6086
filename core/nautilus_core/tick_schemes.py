"""Leaves out a tick scheme of NautilusTrader that is slow to import. Does not import NautilusTrader itself.

The import computes all 68,000 prices of the Tokyo Stock Exchange's index TOPIX 100: a tenth of the processor
time of all imports of a worker, and 7 MB. The other schemes are as they were.
"""

import sys
from types import ModuleType
from typing import Any

MODULE = "nautilus_trader.model.tick_scheme.implementations.tiered"


class WithoutPrices(ModuleType):
    """Stands for the module. The scheme has its name and its limits; to calculate with it is an error."""

    TieredTickScheme = None

    @property
    def TOPIX100_TICK_SCHEME(self) -> Any:
        """The scheme; its methods raise NotImplementedError."""
        # Here, because the package that requests it has imported both by then.
        from nautilus_trader.model.objects import Price
        from nautilus_trader.model.tick_scheme.base import TickScheme

        return TickScheme("TOPIX100", Price(0.1, 4), Price(130_000_000, 4))


def leave_out_tiered_ticks() -> None:
    """Has to be called before the first import of NautilusTrader."""
    sys.modules.setdefault(MODULE, WithoutPrices(MODULE))
