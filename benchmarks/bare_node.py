"""A NautilusTrader node that subscribes to two markets and does nothing: the reference of `footprint.py`.

    python benchmarks/bare_node.py URL SLUG SLUG

It has the stock data client of Polymarket, with the addresses of a practice venue, and a provider that
requests the markets by slug from that venue: the stock provider's host cannot be changed. It imports nothing
of the bot.
"""

import asyncio
import sys
from typing import Any

import msgspec
from nautilus_trader.adapters.polymarket.common.gamma_markets import normalize_gamma_market_to_clob_format
from nautilus_trader.adapters.polymarket.config import PolymarketDataClientConfig
from nautilus_trader.adapters.polymarket.data import PolymarketDataClient
from nautilus_trader.adapters.polymarket.providers import (
    PolymarketInstrumentProvider,
    PolymarketInstrumentProviderConfig,
)
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy
from py_clob_client_v2.client import ClobClient

POLYGON = 137


class SlugProvider(PolymarketInstrumentProvider):
    """Loads the markets of some slugs from a catalogue."""

    gamma: str
    slugs: list[str]

    async def load_all_async(self, filters: dict | None = None) -> None:
        for slug in self.slugs:
            answer = await self._http_client.get(f"{self.gamma}/markets/slug/{slug}")
            market = normalize_gamma_market_to_clob_format(msgspec.json.decode(answer.body))
            for token in market["tokens"]:
                self._load_instrument(market, token["token_id"], token["outcome"])


class Idle(Strategy):
    """Subscribes to books and quotes of every instrument."""

    def on_start(self) -> None:
        for instrument in self.cache.instruments():
            self.subscribe_order_book_deltas(instrument.id)
            self.subscribe_quote_ticks(instrument.id)


def data_factory(url: str, slugs: list[str]) -> type[LiveDataClientFactory]:
    """Creates the stock data client for a venue and some markets."""

    class Factory(LiveDataClientFactory):
        @staticmethod
        def create(
            loop: asyncio.AbstractEventLoop,
            name: str,
            config: Any,
            msgbus: MessageBus,
            cache: Cache,
            clock: LiveClock,
        ) -> PolymarketDataClient:
            client = ClobClient(url, POLYGON)
            provider = SlugProvider(client, clock, config.instrument_config)
            provider.gamma, provider.slugs = f"{url}/gamma", slugs
            return PolymarketDataClient(loop, client, msgbus, cache, clock, provider, config, name)

    return Factory


def main(url: str, *slugs: str) -> None:
    node = TradingNode(
        TradingNodeConfig(
            trader_id="BARE-001",
            logging=LoggingConfig(log_level="ERROR"),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            data_clients={
                "POLYMARKET": PolymarketDataClientConfig(
                    base_url_http=url,
                    base_url_ws=url.replace("http", "ws", 1) + "/ws/",
                    instrument_config=PolymarketInstrumentProviderConfig(load_all=True),
                    drop_quotes_missing_side=False,
                    # The bot's own value, so that both wait equally long.
                    ws_connection_initial_delay_secs=0.1,
                    auto_load_missing_instruments=False,
                )
            },
        )
    )
    node.add_data_client_factory("POLYMARKET", data_factory(url, list(slugs)))
    node.trader.add_strategy(Idle())
    node.build()
    node.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
