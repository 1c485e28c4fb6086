"""A NautilusTrader node that could trade two markets and does nothing: the reference of `footprint.py`.

    python benchmarks/bare_node.py < PLAN

It has the stock data client and the stock execution client of Polymarket, and so the same subscriptions as
the bot: the books and quotes of both markets, and the account's messages. The plan is one line of JSON: the
addresses of a practice venue, the slugs of the markets, and the keys of an account. It imports nothing of the
bot.
"""

import json
import os
import sys
from typing import Any


def main(plan: dict[str, Any]) -> None:
    # Read at the adapter's import.
    os.environ["GAMMA_API_URL"] = f"{plan['url']}/gamma"
    from nautilus_trader.adapters.polymarket.config import (
        PolymarketDataClientConfig,
        PolymarketExecClientConfig,
    )
    from nautilus_trader.adapters.polymarket.factories import (
        PolymarketLiveDataClientFactory,
        PolymarketLiveExecClientFactory,
    )
    from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProviderConfig
    from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.trading.strategy import Strategy

    execution_clients = []

    class Factory(PolymarketLiveExecClientFactory):
        """Keeps the stock client that it creates."""

        @staticmethod
        def create(*args: Any, **named: Any) -> Any:
            execution_clients.append(PolymarketLiveExecClientFactory.create(*args, **named))
            return execution_clients[-1]

    class Idle(Strategy):
        """Subscribes to books, quotes and the account's messages of every instrument."""

        def on_start(self) -> None:
            for instrument in self.cache.instruments():
                self.subscribe_order_book_deltas(instrument.id)
                self.subscribe_quote_ticks(instrument.id)
                for client in execution_clients:
                    # The stock client opens its stream for a market with the first order there.
                    client.create_task(client._maintain_active_market(instrument.id))

    account = plan["account"]
    common = {
        "private_key": account["private_key"],
        "funder": account["address"],
        "api_key": account["api_key"],
        "api_secret": account["api_secret"],
        "passphrase": account["passphrase"],
        "base_url_http": plan["url"],
        "base_url_ws": plan["ws_url"],
        "instrument_config": PolymarketInstrumentProviderConfig(
            load_all=True,
            use_gamma_markets=True,
            filters={"slug": tuple(plan["slugs"])},  # a tuple, because the class hashes it
        ),
    }
    node = TradingNode(
        TradingNodeConfig(
            trader_id="BARE-001",
            logging=LoggingConfig(log_level="ERROR"),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            data_clients={
                "POLYMARKET": PolymarketDataClientConfig(
                    **common,
                    drop_quotes_missing_side=False,
                    # The bot's own value, so that both wait equally long.
                    ws_connection_initial_delay_secs=0.1,
                    auto_load_missing_instruments=False,
                )
            },
            exec_clients={
                "POLYMARKET": PolymarketExecClientConfig(
                    **common, base_url_data_api=f"{plan['url']}/data-api"
                )
            },
        )
    )
    node.add_data_client_factory("POLYMARKET", PolymarketLiveDataClientFactory)
    node.add_exec_client_factory("POLYMARKET", Factory)
    node.trader.add_strategy(Idle())
    node.build()
    node.run()


if __name__ == "__main__":
    main(json.loads(sys.stdin.readline()))
