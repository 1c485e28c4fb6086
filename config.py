"""The typed, frozen Settings; the only reader of the environment and `.env`.

`python config.py` prints `.env.example`, which is generated from this file and checked by a test.
"""

import codecs
import difflib
import errno
import io
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from common.constants import (
    DERIBIT_PCR,
    LOOPBACK,
    ORDER_BOOK_IMBALANCE,
    PRICE_DIVERGENCE,
    SENTIMENT_ANALYSIS,
    SPIKE_DETECTION,
    TICK_VELOCITY,
)
from errors import ConfigError
from models import BrainParams, Series

ROOT = Path(__file__).resolve().parent
ENV_FILE = ROOT / ".env"
NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of a path that no permission and no missing folder explains."""
VERSION = str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
TIMEFRAMES = {"5m": 300, "15m": 900, "4h": 14400}
ASSETS = ("btc", "eth", "sol", "xrp", "doge", "bnb", "hype", "zec")
TELEGRAM_TOKEN = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{30,100}")

Fraction = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(gt=0, le=1)]
Price = Annotated[Decimal, Field(gt=0, lt=1)]
Usd = Annotated[Decimal, Field(gt=0, le=Decimal(1_000_000))]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
MarketSecond = Annotated[float, Field(ge=0, le=900)]


class ListOf:
    """Validates a text as one or several of these values, separated by commas, each at most once.

    Parameters
    ----------
    values : sequence of str
    """

    def __init__(self, values: Sequence[str]) -> None:
        self.values = tuple(values)

    def __call__(self, text: str) -> str:
        """The text without spaces."""
        given = [part.strip() for part in text.split(",")]
        quoted = [f"{value!r}" for value in self.values]
        choice = f"{', '.join(quoted[:-1])} or {quoted[-1]}, or several of them separated by commas"
        if any(part not in self.values for part in given):
            raise ValueError(choice)
        if len(set(given)) < len(given):
            raise ValueError(f"{choice}, each once")
        return ",".join(given)


Assets = Annotated[str, AfterValidator(ListOf(ASSETS))]
Timeframes = Annotated[str, AfterValidator(ListOf(tuple(TIMEFRAMES)))]


def _s(default: Any, text: str) -> Any:
    return Field(default=default, description=text)


class Settings(BaseModel):
    """All settings. The environment variable of a field is its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    # Market
    market_asset: Assets = _s("btc", "assets whose up/down markets are traded")
    market_type: Literal["updown"] = _s("updown", "market type, as in the slug")
    market_timeframe: Timeframes = _s("15m", "lengths of the markets; with several assets, of each asset")
    market_interval_seconds: Annotated[int, Field(ge=1)] | None = _s(
        None, "length of one market, seconds, in older settings; must agree with MARKET_TIMEFRAME"
    )

    # Decision
    trade_window_start: MarketSecond = _s(780.0, "start of the decision window, market second")
    trade_window_end: MarketSecond = _s(840.0, "end of the decision window (exclusive), market second")
    trend_up_threshold: Price = _s(Decimal("0.60"), "Up is the favourite above this price of the Up token")
    trend_down_threshold: Price = _s(
        Decimal("0.40"), "Down is the favourite below this price of the Up token"
    )
    require_signal_agreement: bool = _s(True, "require the fused signal to agree with the favourite")
    min_edge: Annotated[Decimal, Field(ge=-1, le=1)] | None = _s(
        None, "minimum fair probability − ask − fee per share; unset: recorded, not required"
    )
    fusion_min_signals: Annotated[int, Field(ge=1, le=6)] = _s(1, "minimum number of directional signals")
    fusion_min_score: Annotated[float, Field(ge=0, le=100)] = _s(40.0, "minimum fused score of a trade")
    fusion_min_weight: Fraction = _s(
        0.12, "minimum summed weight of the sources behind the winning side of a trade"
    )
    quote_stability_required: Count = _s(3, "consecutive valid quotes before a market is tradable")
    quote_min_spread: Annotated[Decimal, Field(ge=0, le=Decimal("0.1"))] = _s(
        Decimal("0.001"), "quotes below this price or above 1 minus it are invalid"
    )
    max_quote_age_seconds: Seconds = _s(10.0, "maximum age of an order book in a decision")
    max_price_history: Annotated[int, Field(ge=20, le=10_000)] = _s(
        100, "length of the price history of the Up token"
    )
    tick_buffer_size: Annotated[int, Field(ge=20, le=100_000)] = _s(
        500, "length of the tick buffer of the Up token"
    )

    # Orders
    position_size_usd: Annotated[Decimal, Field(ge=1, le=10_000, decimal_places=2)] = _s(
        Decimal("1.00"), "pUSD spent on one position; the venue's minimum is 1.00"
    )
    market_buy_usd: Usd = _s(Decimal("1.00"), "hard limit of one order, pUSD; enforced by the adapter")
    max_entry_price: Price = _s(Decimal("0.99"), "maximum price per share")
    min_liquidity: Annotated[Decimal, Field(ge=0, lt=1)] = _s(
        Decimal("0.02"), "no order if the best ask of the favourite is at or below this price"
    )
    max_slippage: Annotated[Decimal, Field(ge=0, le=Decimal("0.5"))] = _s(
        Decimal("0.02"), "maximum price above the ask of the decision"
    )
    order_max_attempts: Annotated[int, Field(ge=1, le=20)] = _s(
        5, "maximum orders per market while none is matched"
    )
    order_client: Literal["py-clob-client-v2", "polymarket-client"] = _s(
        "py-clob-client-v2",
        "library that signs and sends orders; polymarket-client: practice money only (docs/upgrades.md)",
    )

    # Risk
    max_position_size: Usd = _s(Decimal("1.00"), "maximum size of one position, pUSD")
    max_total_exposure: Usd = _s(Decimal("10.00"), "maximum total of unsettled stakes, pUSD")
    max_positions: Annotated[int, Field(ge=1, le=1000)] = _s(5, "maximum number of open positions")
    max_loss_per_day: Usd = _s(
        Decimal("5.00"), "maximum loss per UTC day, unsettled stakes counted as lost, pUSD"
    )
    max_drawdown_pct: Annotated[Decimal, Field(gt=0, le=1)] = _s(
        Decimal("0.15"), "maximum fall from the highest balance, as a fraction; above it, no new position"
    )
    max_exposure_per_asset: Usd | None = _s(
        None, "maximum total of unsettled stakes of one asset, all timeframes together, pUSD; unset: no limit"
    )
    max_positions_per_asset: Annotated[int, Field(ge=1, le=1000)] | None = _s(
        None, "maximum number of open positions of one asset, all timeframes together; unset: no limit"
    )
    max_exposure_per_series: Usd | None = _s(
        None, "maximum total of unsettled stakes of one series, such as eth-5m, pUSD; unset: no limit"
    )
    max_positions_per_series: Annotated[int, Field(ge=1, le=1000)] | None = _s(
        None, "maximum number of open positions of one series; unset: no limit"
    )
    max_loss_per_day_per_series: Usd | None = _s(
        None,
        "maximum loss of one series per UTC day, unsettled stakes counted as lost, pUSD; unset: no limit",
    )

    # Signal weights (their sum may not exceed 1)
    weight_orderbook: Fraction = _s(0.30, "OrderBookImbalance")
    weight_tick_velocity: Fraction = _s(0.25, "TickVelocity")
    weight_divergence: Fraction = _s(0.18, "PriceDivergence")
    weight_spike: Fraction = _s(0.12, "SpikeDetection")
    weight_deribit_pcr: Fraction = _s(0.10, "DeribitPCR")
    weight_sentiment: Fraction = _s(0.05, "SentimentAnalysis")

    # Signal thresholds
    spike_threshold: Threshold = _s(0.05, "minimum deviation from the moving average of a spike")
    spike_lookback: Annotated[int, Field(ge=3, le=1000)] = _s(20, "number of prices in the moving average")
    sentiment_fear_threshold: Annotated[float, Field(gt=0, lt=100)] = _s(
        25.0, "extreme fear: an index at or below this value"
    )
    sentiment_greed_threshold: Annotated[float, Field(gt=0, lt=100)] = _s(
        75.0, "extreme greed: an index at or above this value"
    )
    divergence_threshold: Threshold = _s(0.05, "minimum |fair probability − price| of a signal")
    orderbook_imbalance_threshold: Threshold = _s(0.30, "minimum order book imbalance of a signal")
    orderbook_min_volume: Annotated[float, Field(ge=0)] = _s(
        50.0, "minimum pUSD in the best ten levels of the book"
    )
    tick_velocity_60s: Threshold = _s(0.015, "minimum relative move over 60 market seconds")
    tick_velocity_30s: Threshold = _s(0.010, "minimum relative move over 30 market seconds")
    deribit_bullish_pcr: Annotated[float, Field(gt=0)] = _s(
        1.20, "put/call ratio from which fear is a bullish signal"
    )
    deribit_bearish_pcr: Annotated[float, Field(gt=0)] = _s(
        0.70, "put/call ratio up to which greed is a bearish signal"
    )

    # Learning
    learning_enabled: bool = _s(True, "adjust the fusion weights from settled markets")
    learning_trigger_interval: Annotated[int, Field(ge=1, le=100_000)] = _s(
        10, "settled trades between two adjustments of the weights"
    )
    learning_min_trades: Annotated[int, Field(ge=0, le=1_000_000)] = _s(
        10, "weight of the prior in votes; a higher value learns more slowly"
    )
    learning_rate: Threshold = _s(
        0.1, "fraction of the difference to the target weight applied per adjustment"
    )

    # External feeds
    feed_deadline_seconds: Annotated[float, Field(gt=0, le=30)] = _s(
        1.5, "longest wait of the first decision for the first values of the feeds"
    )
    deribit_max_dte: Annotated[int, Field(ge=0, le=365)] = _s(2, "maximum days to expiry of the near options")
    deribit_cache_seconds: Annotated[float, Field(ge=1, le=86_400)] = _s(
        300.0, "cache lifetime of the option data"
    )
    cryptopanic_api_key: SecretStr = _s(
        SecretStr(""), "CryptoPanic key; if set, news are part of the sentiment"
    )
    coinbase_url: str = _s("https://api.coinbase.com", "spot price")
    coinbase_exchange_url: str = _s("https://api.exchange.coinbase.com", "spot price, fallback")
    deribit_url: str = _s("https://www.deribit.com", "options")
    fear_greed_url: str = _s("https://api.alternative.me", "fear and greed index")
    cryptopanic_url: str = _s("https://cryptopanic.com", "news")
    binance_url: str = _s("https://data-api.binance.vision", "second spot price, for cross-checks")
    binance_stream_url: str = _s("wss://data-stream.binance.vision", "second spot price, stream")
    solana_url: str = _s("https://api.mainnet-beta.solana.com", "third spot price (Pyth), for cross-checks")
    rtds_url: str = _s("wss://ws-live-data.polymarket.com", "settlement price, public relay")
    polybolt_url: str = _s("wss://ws-live-v2.polymarket.com/ws", "settlement price, authenticated")

    # Mode store: `python redis_control.py sim|live|status`
    redis_host: Annotated[str, Field(min_length=1)] = _s(
        "localhost", "Redis host of the mode store; without a Redis, a file of the state folder is used"
    )
    redis_port: Annotated[int, Field(ge=1, le=65_535)] = _s(6379, "Redis port")
    redis_db: Annotated[int, Field(ge=0, le=1_000_000)] = _s(2, "Redis database")
    redis_username: str = _s("", "Redis user, where the server has users")
    redis_password: SecretStr = _s(SecretStr(""), "Redis password")
    redis_tls: bool = _s(False, "encrypt the connection to Redis (a private CA: SSL_CERT_FILE)")
    redis_url: SecretStr = _s(
        SecretStr(""),
        "redis[s]://[user:password@]host[:port][/db], in the place of the other REDIS_* settings",
    )

    # Live trading (only with --live)
    polymarket_pk: SecretStr = _s(SecretStr(""), "private key of the signing wallet, 0x and 64 hex digits")
    polymarket_funder: Annotated[str, Field(pattern=r"^(0x[0-9a-fA-F]{40})?$")] = _s(
        "", "address that holds the funds; empty: the key's own"
    )
    polymarket_signature_type: Annotated[int, Field(ge=0, le=3)] | None = _s(
        None, "0 own wallet, 1 e-mail login, 2 browser wallet, 3 deposit wallet; unset: the one with funds"
    )
    polymarket_api_key: SecretStr = _s(
        SecretStr(""), "API key; if all three are empty, they are derived from the wallet"
    )
    polymarket_api_secret: SecretStr = _s(SecretStr(""), "API secret")
    polymarket_passphrase: SecretStr = _s(SecretStr(""), "API passphrase")
    relayer_api_key: SecretStr = _s(
        SecretStr(""), "relayer key for redeeming winning positions without gas (extra `redeem`)"
    )
    relayer_api_key_address: Annotated[str, Field(pattern=r"^(0x[0-9a-fA-F]{40})?$")] = _s(
        "", "address the relayer key was created for"
    )
    live_trading_confirm: Literal["", "yes"] = _s("", "yes: arm --live without typing LIVE")

    # Monitoring
    grafana_host: Annotated[str, Field(min_length=1)] = _s(
        "127.0.0.1", "listen address of the status page, /metrics and /health"
    )
    grafana_port: Annotated[int, Field(ge=0, le=65_535)] = _s(8000, "listen port; 0: any free port")
    grafana_allowed_hosts: Annotated[str, Field(pattern=r"^[A-Za-z0-9., _-]*$")] = _s(
        "", "more names, separated by commas, under which the port answers: docs/monitoring.md"
    )
    notify_url: SecretStr = _s(SecretStr(""), "Apprise URLs for notifications, separated by spaces")
    notify_level: Literal["alerts", "trades", "all"] = _s(
        "trades",
        "alerts: halts, mode changes, failures; trades: also orders and results; all: also every decision",
    )
    telegram_token: SecretStr = _s(
        SecretStr(""), "token of the Telegram bot that answers commands (extra `chat`, docs/chat.md)"
    )
    telegram_chat_id: Annotated[int, Field(gt=0, lt=2**52)] | None = _s(
        None, "id of your private chat with that bot; every other sender is ignored"
    )
    telegram_api_url: str = _s("https://api.telegram.org", "Bot API")

    # Process
    state_dir: Path = _s(Path("state"), "folder of the ledgers, accounts and locks")
    paper_trades_file: Path = _s(Path("paper_trades.json"), "export file of the paper trades")
    log_dir: Path = _s(Path("logs"), "folder of the logs of bot and practice venue")
    recordings_dir: Path = _s(Path("recordings"), "folder of the recordings of --record without a folder")
    recordings_limit_mb: Annotated[int, Field(ge=10, le=100_000_000)] = _s(
        20_000, "size of one recording, MiB, from which its oldest files are removed"
    )
    restart_after_minutes: Annotated[float, Field(gt=0, le=10_080)] = _s(
        90.0, "time until the worker restarts, between two markets"
    )
    worker_start_seconds: Annotated[float, Field(ge=10, le=3600)] = _s(
        25.0, "time limit for the start of a worker; raise it on a slow machine"
    )
    worker_heartbeat_seconds: Annotated[float, Field(ge=5, le=3600)] = _s(
        30.0, "a worker without a heartbeat for this time is replaced"
    )
    trader_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+-[A-Za-z0-9]+$")] = _s(
        "BTC-15MIN-INTEGRATED-001", "trader id in Nautilus' logs and orders"
    )
    data_engine_qsize: Count = _s(6000, "size of Nautilus' data queue")
    exec_engine_qsize: Count = _s(6000, "size of Nautilus' queues of order events")
    nautilus_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _s("INFO", "log level of Nautilus")
    nautilus_log_dir: Path = _s(Path("logs/nautilus"), "log folder of Nautilus")

    # Venue (the real one; the practice venue sets its own)
    clob_url: str = _s("https://clob.polymarket.com", "order API")
    gamma_url: str = _s("https://gamma-api.polymarket.com", "market catalogue")
    data_api_url: str = _s("https://data-api.polymarket.com", "positions API")
    ws_url: str = _s("wss://ws-subscriptions-clob.polymarket.com/ws/", "market and user streams")
    geoblock_url: str = _s(
        "https://polymarket.com/api/geoblock",
        "geoblock check: whether orders are accepted from this location",
    )
    relayer_url: str = _s("https://relayer-v2.polymarket.com", "relayer for redemptions without gas")
    polygon_rpc_url: str = _s("https://polygon.drpc.org", "Polygon RPC, for redemptions from an own account")

    @field_validator(
        "state_dir", "paper_trades_file", "log_dir", "recordings_dir", "nautilus_log_dir", mode="after"
    )
    @classmethod
    def _in_project(cls, path: Path) -> Path:
        """Resolve a relative path against the project's folder, independent of the working directory."""
        try:
            resolved = ROOT / path.expanduser()
        except RuntimeError:
            raise ValueError("a path; the home folder of its user is not known") from None
        try:
            resolved.stat()
        except OSError as error:
            if error.errno in NO_PATH:
                raise ValueError(f"a path: {error.strerror}") from None
        return resolved

    @field_validator("redis_url", mode="after")
    @classmethod
    def _readable(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text and not text.startswith(("redis://", "rediss://")):
            raise ValueError("an address that begins with redis:// or rediss://")
        parts = urlsplit(text)
        if text and not parts.hostname:
            raise ValueError("an address with a host")
        if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
            raise ValueError("an address with a database number after the host, or none")
        _ = parts.port  # raises ValueError if it is invalid
        return url

    @field_validator("telegram_token", mode="after")
    @classmethod
    def _bot_token(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value() and not TELEGRAM_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("the token from @BotFather: digits, a colon, and 30 or more letters and digits")
        return token

    @field_validator("telegram_api_url", mode="after")
    @classmethod
    def _private(cls, url: str) -> str:
        """The token is part of each request's path: unencrypted only to this machine."""
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or plain):
            raise ValueError("an address that begins with https://, or http:// on this machine")
        _ = parts.port  # raises ValueError if it is invalid
        return url.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        weights = sum(self.weights.values())
        lengths = [TIMEFRAMES[timeframe] for timeframe in self.market_timeframe.split(",")]
        checks = [
            (
                self.market_interval_seconds is None or lengths == [self.market_interval_seconds],
                "MARKET_INTERVAL_SECONDS",
                self.market_interval_seconds,
                f"{lengths[0] if len(lengths) == 1 else 'none'}, as MARKET_TIMEFRAME is"
                f" {self.market_timeframe}",
            ),
            (weights <= 1 + 1e-9, "WEIGHT_*", weights, "a sum of at most 1"),
            (
                self.fusion_min_weight <= weights + 1e-9,
                "FUSION_MIN_WEIGHT",
                self.fusion_min_weight,
                f"at most the sum of the weights ({weights:g})",
            ),
            (
                self.trade_window_start < self.trade_window_end,
                "TRADE_WINDOW_START",
                self.trade_window_start,
                f"below TRADE_WINDOW_END ({self.trade_window_end:g})",
            ),
            (
                self.trend_down_threshold < self.trend_up_threshold,
                "TREND_DOWN_THRESHOLD",
                self.trend_down_threshold,
                f"below TREND_UP_THRESHOLD ({self.trend_up_threshold})",
            ),
            (
                self.position_size_usd <= self.market_buy_usd,
                "POSITION_SIZE_USD",
                self.position_size_usd,
                f"at most MARKET_BUY_USD ({self.market_buy_usd})",
            ),
            (
                self.position_size_usd <= self.max_position_size,
                "POSITION_SIZE_USD",
                self.position_size_usd,
                f"at most MAX_POSITION_SIZE ({self.max_position_size})",
            ),
            (
                self.sentiment_fear_threshold < self.sentiment_greed_threshold,
                "SENTIMENT_FEAR_THRESHOLD",
                self.sentiment_fear_threshold,
                f"below SENTIMENT_GREED_THRESHOLD ({self.sentiment_greed_threshold:g})",
            ),
            (
                self.deribit_bearish_pcr < self.deribit_bullish_pcr,
                "DERIBIT_BEARISH_PCR",
                self.deribit_bearish_pcr,
                f"below DERIBIT_BULLISH_PCR ({self.deribit_bullish_pcr:g})",
            ),
        ]
        checks.append(
            (
                self.spike_lookback <= self.max_price_history,
                "SPIKE_LOOKBACK",
                self.spike_lookback,
                f"at most MAX_PRICE_HISTORY ({self.max_price_history})",
            )
        )
        checks.append(
            (
                bool(self.relayer_api_key.get_secret_value()) is bool(self.relayer_api_key_address),
                "RELAYER_API_KEY, RELAYER_API_KEY_ADDRESS",
                "one of two",
                "both or none",
            )
        )
        checks.append(
            (
                bool(self.telegram_token.get_secret_value()) is (self.telegram_chat_id is not None),
                "TELEGRAM_TOKEN, TELEGRAM_CHAT_ID",
                "one of two",
                "both or none",
            )
        )
        given = sum(map(bool, self.api_key_parts))
        checks.append(
            (
                given in (0, 3),
                "POLYMARKET_API_KEY, POLYMARKET_API_SECRET, POLYMARKET_PASSPHRASE",
                f"{given} of three",
                "all three or none",
            )
        )
        for holds, key, value, allowed in checks:
            if not holds:
                raise ValueError(f"{key} is {value}, allowed: {allowed}")
        return self

    @property
    def redis(self) -> dict[str, Any]:
        """Host, port, db, username, password and tls of the configured Redis."""
        if not (url := self.redis_url.get_secret_value()):
            return {
                "host": self.redis_host,
                "port": self.redis_port,
                "db": self.redis_db,
                "username": self.redis_username,
                "password": self.redis_password.get_secret_value(),
                "tls": self.redis_tls,
            }
        parts = urlsplit(url)
        return {
            "host": parts.hostname,
            "port": parts.port or 6379,
            "db": int(parts.path.strip("/") or self.redis_db),
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "tls": parts.scheme == "rediss",
        }

    @property
    def series(self) -> tuple[Series, ...]:
        """The series that are traded: each timeframe of each asset, in the order of the settings."""
        return tuple(
            Series(asset=asset, timeframe=timeframe)
            for asset in self.market_asset.split(",")
            for timeframe in self.market_timeframe.split(",")
        )

    def of_series(self, series: Series) -> "Settings":
        """The same settings with this series as the only one."""
        return self.model_copy(
            update={
                "market_asset": series.asset,
                "market_timeframe": series.timeframe,
                "market_interval_seconds": None,
            }
        )

    @property
    def only_series(self) -> Series:
        """The series that is traded.

        Raises
        ------
        ConfigError
            If there are several.
        """
        first, *others = self.series
        if others:
            names = ", ".join(series.name for series in (first, *others))
            raise ConfigError(
                f"this needs one series, MARKET_ASSET and MARKET_TIMEFRAME give {len(others) + 1}: {names}",
                "Set MARKET_ASSET and MARKET_TIMEFRAME to one value each for it",
            )
        return first

    @property
    def interval_seconds(self) -> int:
        """Length of one market in market-clock seconds.

        Raises
        ------
        ConfigError
            With several series.
        """
        return TIMEFRAMES[self.only_series.timeframe]

    @property
    def weights(self) -> dict[str, float]:
        """Configured weight by processor name."""
        return {
            ORDER_BOOK_IMBALANCE: self.weight_orderbook,
            TICK_VELOCITY: self.weight_tick_velocity,
            PRICE_DIVERGENCE: self.weight_divergence,
            SPIKE_DETECTION: self.weight_spike,
            DERIBIT_PCR: self.weight_deribit_pcr,
            SENTIMENT_ANALYSIS: self.weight_sentiment,
        }

    @property
    def api_key_parts(self) -> tuple[str, str, str]:
        """API key, secret and passphrase; all empty if they are to be derived from the wallet."""
        return (
            self.polymarket_api_key.get_secret_value(),
            self.polymarket_api_secret.get_secret_value(),
            self.polymarket_passphrase.get_secret_value(),
        )

    @property
    def relayer_key(self) -> tuple[str, str] | None:
        """Relayer key and the address it was created for; None without one."""
        key = self.relayer_api_key.get_secret_value()
        return (key, self.relayer_api_key_address) if key else None

    def brain_params(self) -> BrainParams:
        """The settings that decisions depend on."""
        return BrainParams(
            weights=self.weights,
            window_start=self.trade_window_start,
            window_end=self.trade_window_end,
            trend_up=self.trend_up_threshold,
            trend_down=self.trend_down_threshold,
            require_agreement=self.require_signal_agreement,
            min_edge=self.min_edge,
            fusion_min_signals=self.fusion_min_signals,
            fusion_min_score=self.fusion_min_score,
            fusion_min_weight=self.fusion_min_weight,
            position_size_usd=self.position_size_usd,
            max_entry_price=self.max_entry_price,
            max_slippage=self.max_slippage,
            max_quote_age_s=self.max_quote_age_seconds,
            spike_threshold=self.spike_threshold,
            spike_lookback=self.spike_lookback,
            sentiment_fear=self.sentiment_fear_threshold,
            sentiment_greed=self.sentiment_greed_threshold,
            divergence_threshold=self.divergence_threshold,
            orderbook_imbalance_threshold=self.orderbook_imbalance_threshold,
            orderbook_min_volume=self.orderbook_min_volume,
            tick_velocity_60s=self.tick_velocity_60s,
            tick_velocity_30s=self.tick_velocity_30s,
            deribit_bullish_pcr=self.deribit_bullish_pcr,
            deribit_bearish_pcr=self.deribit_bearish_pcr,
            min_liquidity=self.min_liquidity,
        )


class Source(StrEnum):
    """Where the value of a setting is from."""

    DEFAULT = "default"
    ENV_FILE = ".env"
    ENVIRONMENT = "environment"


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Read `.env` and the environment, which takes precedence.

    Raises
    ------
    ConfigError
        With the key, its value (never of a secret) and the allowed values.
    """
    return load_with_sources(environ, env_file)[0]


def load_with_sources(
    environ: Mapping[str, str] | None = None, env_file: Path | None = None
) -> tuple[Settings, dict[str, Source]]:
    """As `load_settings`, and where the value of each field is from. An empty value counts as not given."""
    environ = os.environ if environ is None else environ
    env_file = ENV_FILE if env_file is None else env_file
    keys = {name.upper(): name for name in Settings.model_fields}
    values = _read_env_file(env_file, keys) if env_file.is_file() else {}
    sources = dict.fromkeys(values, Source.ENV_FILE)
    values.update({key: environ[key] for key in keys if key in environ})
    sources.update(dict.fromkeys(keys.keys() & environ.keys(), Source.ENVIRONMENT))
    given = {keys[key]: value.strip() for key, value in values.items() if key in keys and value.strip()}
    return settings_from(given), {
        name: sources[key] if name in given else Source.DEFAULT for key, name in keys.items()
    }


def settings_from(given: Mapping[str, str]) -> Settings:
    """The settings with these values, by field name; the others have their defaults.

    Raises
    ------
    ConfigError
        As `load_settings`.
    """
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise ConfigError(*_explain(error, given)) from None


def with_values(settings: Settings, values: Mapping[str, str]) -> Settings:
    """The settings with some of them changed, by their names in `.env`; an empty text is the default.

    Raises
    ------
    ConfigError
        With the key, its value (never of a secret) and the allowed values.
    """
    given = {key.lower(): value for key, value in values.items() if value}
    kept = settings.model_dump(exclude={key.lower() for key in values})
    try:
        return Settings.model_validate(kept | given)
    except ValidationError as error:
        raise ConfigError(*_explain(error, given)) from None


def open_to_others(env_file: Path) -> bool:
    """Whether users other than the owner can read the file with the secrets."""
    return env_file.is_file() and bool(env_file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _decoded(env_file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 as Windows programs write it.

    Raises
    ------
    ConfigError
        If it cannot be read, or is in another encoding.
    """
    try:
        content = env_file.read_bytes()
        encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        text = content.decode(encoding)
    except OSError as error:
        raise ConfigError(f"{env_file} cannot be read: {error.strerror}", "Check its permissions") from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigError(f"{env_file.name} is not a UTF-8 text", "Save it as UTF-8")
    return text.replace("\r\n", "\n")


def _read_env_file(env_file: Path, keys: Mapping[str, str]) -> dict[str, str]:
    stream = io.StringIO(_decoded(env_file))
    values = {key: value or "" for key, value in dotenv_values(stream=stream, interpolate=False).items()}
    for key in values:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean {close[0]}?" if close else "see .env.example for all keys"
            raise ConfigError(f"unknown setting {key} in {env_file.name}", f"Remove it, or {hint}")
    return values


def _explain(error: ValidationError, given: Mapping[str, str]) -> tuple[str, str]:
    """The first error as (what is wrong, what to do)."""
    fault = error.errors(include_url=False, include_context=True)[0]
    if not fault["loc"]:
        return fault["msg"].removeprefix("Value error, "), "Change it in .env or the environment"
    name = str(fault["loc"][0])
    field = Settings.model_fields[name]
    value = "(secret)" if field.annotation is SecretStr else repr(given.get(name, ""))
    allowed = fault["msg"].removeprefix("Value error, ")
    return f"{name.upper()} is {value}, allowed: {allowed}", f"It means: {field.description}"


def default_text(field: FieldInfo) -> str:
    """The default of a setting as it is written in `.env`; empty without one."""
    value = field.default
    if value is None or isinstance(value, SecretStr):
        return ""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def sections() -> list[tuple[str, list[str]]]:
    """The headings of the comments in `Settings`, each with the names of the fields below it."""
    source = Path(__file__).read_text(encoding="utf-8")
    found: list[tuple[str, list[str]]] = []
    for line in source[source.index("class Settings") : source.index("@field_validator")].splitlines():
        text = line.strip()
        if text.startswith("# "):
            found.append((text.removeprefix("# "), []))
        name = text.split(":")[0]
        if name in Settings.model_fields and line.startswith("    ") and not line.startswith("     "):
            found[-1][1].append(name)
    return found


def env_example() -> str:
    """The content of `.env.example`: every key with its default and its meaning."""
    lines = ["# Copy to .env and uncomment the settings to change. Generated by `python config.py`."]
    for heading, names in sections():
        lines += ["", f"# {heading}"]
        for name in names:
            field = Settings.model_fields[name]
            lines.append(f"#{name.upper()}={default_text(field)}".ljust(44) + f" # {field.description}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(env_example(), end="")
