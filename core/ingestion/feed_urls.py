"""Addresses of the external services, in a module of their own because the supervisor imports no sources."""

from models import Frozen


class FeedUrls(Frozen, frozen=True):
    """Base URLs of the sources; for practice markets those of the practice venue."""

    coinbase: str = "https://api.coinbase.com"
    coinbase_exchange: str = "https://api.exchange.coinbase.com"
    deribit: str = "https://www.deribit.com"
    fear_greed: str = "https://api.alternative.me"
    cryptopanic: str = "https://cryptopanic.com"
    binance: str = "https://data-api.binance.vision"
    binance_stream: str = "wss://data-stream.binance.vision"
    solana: str = "https://api.mainnet-beta.solana.com"
    rtds: str = "wss://ws-live-data.polymarket.com"
    polybolt: str = "wss://ws-live-v2.polymarket.com/ws"
