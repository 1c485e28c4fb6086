"""The addresses of the external services, apart from the sources, which the supervisor never loads."""

from models import Frozen


class FeedUrls(Frozen, frozen=True):
    """Where the sources are; a practice world puts its own addresses here."""

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
