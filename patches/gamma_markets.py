"""Markets by slug, from one request to a configurable catalogue, forgetting what is over.

The stock provider asks a hard-coded host, once per slug, and never forgets an instrument.
"""

from collections.abc import Callable
from typing import Any

from nautilus_trader.adapters.polymarket.common.gamma_markets import (
    list_markets,
    normalize_gamma_market_to_clob_format,
)
from nautilus_trader.adapters.polymarket.common.symbol import get_polymarket_instrument_id
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProvider


class SlugProvider(PolymarketInstrumentProvider):
    """Loads exactly the markets whose slugs `slugs()` names now."""

    def __init__(self, *args: Any, slugs: Callable[[], list[str]], gamma_url: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._slugs = slugs
        self._gamma_url = gamma_url

    async def load_all_async(self, filters: dict | None = None) -> None:
        slugs = self._slugs()
        markets = await list_markets(self._http_client, {"slug": slugs}, base_url=self._gamma_url)
        known = {market.get("slug") for market in markets}
        missing = [slug for slug in slugs if slug not in known]
        if missing:
            self._log.warning(f"the catalogue does not know {', '.join(missing)} yet")
        wanted = set()
        for market in markets:
            normalized = normalize_gamma_market_to_clob_format(market)
            wanted.add(normalized["condition_id"])
            for token in normalized["tokens"]:
                if token["token_id"] and not self._knows(normalized["condition_id"], token["token_id"]):
                    self._load_instrument(normalized, token["token_id"], token["outcome"])
        # What is loaded stays as it is: the streams know its tick size better than the catalogue.
        for instrument_id in [i for i in self._instruments if i.symbol.value.split("-")[0] not in wanted]:
            del self._instruments[instrument_id]

    def _knows(self, condition_id: str, token_id: str) -> bool:
        return get_polymarket_instrument_id(condition_id, token_id) in self._instruments
