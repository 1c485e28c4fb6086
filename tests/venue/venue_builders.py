"""Builders for venue tests: signed orders of new wallets, a constant source, a manual clock."""

import json
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
from eth_account import Account
from process import HTTP
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import ApiCreds
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
from py_clob_client_v2.order_utils.model.side import Side
from py_clob_client_v2.signer import Signer
from py_clob_client_v2.signing.hmac import build_hmac_signature

from venue.auth import ApiKey, new_key
from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.venue import PracticeVenue, VenueOptions

ZERO = "0x" + "0" * 64
SECOND = 10**9
EXCHANGE = get_contract_config(137).exchange_v2
EXCHANGE_V3 = get_contract_config(137).exchange_v3
CTF_DOMAIN = (EXCHANGE, "2")
POSITION_DOMAIN = (EXCHANGE_V3, "3")
"""Contract and domain version of the orders for CTF tokens, and for positions of Protocol V2."""


@dataclass
class Trader:
    """A wallet with an API key. Its orders are signed by the venue's official client."""

    key: str = field(default_factory=lambda: Account.create().key.hex())
    api: ApiKey | None = None
    funder: str | None = None
    signature_type: int = 0

    @cached_property
    def address(self) -> str:
        return Account.from_key(self.key).address

    def order(
        self,
        token: str,
        side: str,
        maker: int,
        taker: int,
        kind: str = "FAK",
        *,
        expiration: int = 0,
        post_only: bool = False,
        owner: str | None = None,
        signer: str | None = None,
        domain: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """A POST /order body with exactly these amounts (micro units).

        By default it is signed under the domain of the id: a position id, unlike a hash, has zero bits.
        """
        structural = int(token) >> 248 == 1 and int(token) >> 40 & (2**64 - 1) == 0
        exchange, version = domain or (POSITION_DOMAIN if structural else CTF_DOMAIN)
        builder = ExchangeOrderBuilderV2(exchange, 137, Signer(self.key, 137), domain_version=version)
        wallet = self.funder or self.address
        data = OrderDataV2(
            maker=wallet,
            tokenId=token,
            makerAmount=str(maker),
            takerAmount=str(taker),
            side=Side.BUY if side == "BUY" else Side.SELL,
            signer=signer or (wallet if self.signature_type == 3 else self.address),
            signatureType=self.signature_type,  # pyright: ignore[reportArgumentType]
            timestamp=str(time.time_ns() // 1_000_000),
            expiration=str(expiration),
        )
        signed = builder.build_signed_order(data)
        assert self.api is not None
        return order_to_json_v2(signed, owner or self.api.key, kind, post_only)

    def buy(self, token: str, cents: int, price: int, kind: str = "FAK", **more: Any) -> dict[str, Any]:
        """A market BUY: `cents` at up to `price` mills, with amounts as the official client rounds them."""
        maker = cents * 10_000
        return self.order(token, "BUY", maker, maker * 1000 // price // 100 * 100, kind, **more)

    def limit(self, token: str, side: str, shares: int, price: int, **more: Any) -> dict[str, Any]:
        """A GTC order for whole `shares` at `price` mills."""
        usd, size = shares * price * 1000, shares * 10**6
        maker, taker = (usd, size) if side == "BUY" else (size, usd)
        return self.order(token, side, maker, taker, more.pop("kind", "GTC"), **more)

    def headers(
        self, method: str, path: str, body: str = "", *, at: float | None = None, secret: str | None = None
    ) -> dict[str, str]:
        """L2 headers, signed by the official client's own function."""
        assert self.api is not None
        stamp = str(int(time.time() if at is None else at))
        return {
            "POLY_ADDRESS": self.address,
            "POLY_SIGNATURE": build_hmac_signature(secret or self.api.secret, stamp, method, path, body),
            "POLY_TIMESTAMP": stamp,
            "POLY_API_KEY": self.api.key,
            "POLY_PASSPHRASE": self.api.passphrase,
        }

    def send(self, url: str, method: str, path: str, content: Any = None, **query: str) -> httpx.Response:
        """An authenticated request."""
        body = "" if content is None else json.dumps(content, separators=(",", ":"))
        headers = self.headers(method, path, body)
        return HTTP.request(method, url + path, content=body or None, headers=headers, params=query)

    def post(self, url: str, order: dict[str, Any]) -> httpx.Response:
        """POST /order."""
        return self.send(url, "POST", "/order", order)

    def client(self, url: str) -> ClobClient:
        """The official client with this wallet's key and credentials."""
        assert self.api is not None
        creds = ApiCreds(self.api.key, self.api.secret, self.api.passphrase)
        return ClobClient(
            url, 137, key=self.key, creds=creds, signature_type=self.signature_type, funder=self.funder
        )


def trader_at(url: str, **fields: Any) -> Trader:
    """A new wallet that made its key at a running venue."""
    trader = Trader(**fields)
    made = ClobClient(url, 137, key=trader.key).create_api_key()
    trader.api = ApiKey(made.api_key, made.api_secret, made.api_passphrase, trader.address, 0)
    return trader


def trader_in(venue: PracticeVenue, **fields: Any) -> Trader:
    """A new wallet with an account and a key in a venue of this process."""
    trader = Trader(**fields)
    trader.api = new_key(trader.address, 0)
    venue.open_account(trader.address)
    venue.ledger.add_key(trader.api)
    return trader


def side(*levels: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Book levels from (mills, whole shares)."""
    return tuple((price, shares * 10**6) for price, shares in levels)


BOOK = VenueBook(bids=side((600, 100), (590, 200)), asks=side((620, 100), (630, 200), (700, 1000)))


class StillSource:
    """A source whose book is changed only by a test."""

    name = "still"

    def __init__(
        self, book: VenueBook = BOOK, *, up_wins: bool = True, tick_change: float | None = None
    ) -> None:
        self.standing = book
        self.outcome = up_wins
        self.changes_tick_at = tick_change

    def info(self) -> dict[str, Any]:
        return {"name": self.name, "markets": 1}

    def origin(self, index: int) -> str:
        return f"bench-{index}"

    def describe(self, index: int) -> str:
        return f"still {index}"

    def book(self, index: int, offset: float) -> VenueBook:
        return self.standing

    def next_change(self, index: int, offset: float) -> float | None:
        return None

    def tick_change(self, index: int) -> float | None:
        return self.changes_tick_at

    def up_wins(self, index: int) -> bool:
        return self.outcome

    def priced(self, index: int) -> bool:
        return False


class ManualClock:
    """A machine clock that is set only by a test."""

    def __init__(self, start_s: int = 1_800_000_000) -> None:
        self.ns = start_s * SECOND

    def __call__(self) -> int:
        return self.ns

    def forward(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


@dataclass
class Bench:
    """A venue in this process with time and books controlled by a test. Market time runs at speed 1."""

    source: StillSource = field(default_factory=StillSource)
    options: VenueOptions = field(default_factory=lambda: VenueOptions(speed=1.0, taker_delay=0.0))
    clock: ManualClock = field(default_factory=ManualClock)

    @cached_property
    def venue(self) -> PracticeVenue:
        return PracticeVenue(self.source, self.options, self.clock)

    @property
    def market(self) -> VenueMarket:
        found = self.venue.schedule.at(self.venue.schedule.first_start)
        assert found is not None
        return found

    def trader(self, **fields: Any) -> Trader:
        return trader_in(self.venue, **fields)

    async def place(self, trader: Trader, body: dict[str, Any]) -> Any:
        """Accept and execute an order."""
        assert trader.api is not None
        return await self.venue.order_intake.execute(self.venue.order_intake.accept(trader.api, body))
