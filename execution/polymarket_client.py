"""What the adapter lacks: a wallet's keys, money, standing, won positions. Blocking: call from a thread."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
from eth_account import Account
from py_clob_client_v2.clob_types import ApiCreds, AssetType, BalanceAllowanceParams, TradeParams
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.exceptions import PolyApiException

from common.bounded_http import BoundedHttp, require_shallow
from common.constants import POLYGON_CHAIN_ID
from common.plain_text import one_line
from errors import Fatal, Temporary
from execution.clob_http import REQUEST_LIMIT_S, BoundedClobClient
from models import Frozen, fill_cost

UNIT = Decimal(1_000_000)
SIGNATURE_TYPES = (0, 1, 2, 3)
"""Own account, proxy of an e-mail login, safe of a browser wallet, deposit wallet."""
ORDER_SPENDERS = (str(get_contract_config(POLYGON_CHAIN_ID).exchange_v2),)
"""The contracts that take the money of an order of ours; markets that need another one are refused."""
POSITIONS_PAGE = 100
MAX_POSITIONS_PAGES = 50
"""Pages after which a list of positions is taken to have no end."""
LATER = (408, 425, 429)
"""Refusals of the moment, not of what was asked."""
NO_ANSWER = (PolyApiException, AttributeError, KeyError, TypeError, ValueError, ArithmeticError)
"""What the venue's library lets out when the venue is silent, refuses, or answers something else."""


class Funds(Frozen, frozen=True):
    """A wallet's free pUSD, and what each contract may take of it, by the contract's address."""

    balance: Decimal
    allowances: dict[str, Decimal]

    @property
    def allowance(self) -> Decimal:
        """What an order can take: the smallest allowance of the contracts that it needs."""
        given = {spender.lower(): amount for spender, amount in self.allowances.items()}
        return min(given.get(spender.lower(), Decimal(0)) for spender in ORDER_SPENDERS)


class Geoblock(Frozen, frozen=True):
    """Whether the venue takes orders from this machine's address, and where it believes that to be."""

    blocked: bool
    country: str
    region: str


class Redeemable(Frozen, frozen=True):
    """A position in a resolved market that the wallet still holds.

    `slug` and `outcome` are empty where the venue does not tell them.
    """

    condition_id: str
    slug: str
    outcome: str
    shares: Decimal
    pays: Decimal
    """pUSD a share: 1 or 0, or the part of a market that no outcome won."""

    @property
    def won(self) -> bool:
        return self.pays > 0

    @property
    def amount(self) -> Decimal:
        """What it is worth, pUSD."""
        return fill_cost(self.shares, self.pays)


class _Position(msgspec.Struct):
    condition_id: str
    current_size: Decimal
    current_price: Decimal
    redeemable: bool
    slug: str | None = None
    outcome: str | None = None


class _Pagination(msgspec.Struct):
    next_cursor: str | None = None


class _Positions(msgspec.Struct):
    data: list[_Position]
    pagination: _Pagination


class PolymarketClient:
    """One wallet at one venue.

    Parameters
    ----------
    clob_url : str
        Base URL of the order API.
    private_key : str
        The signing key; never logged.
    signature_type : int
        0 own account, 1 proxy, 2 safe, 3 deposit wallet.
    funder : str or None
        Address that holds the money; the key's own if None.
    """

    def __init__(
        self, clob_url: str, private_key: str, signature_type: int = 0, funder: str | None = None
    ) -> None:
        self._url = clob_url
        self._private_key = private_key
        self._signature_type = signature_type
        self._client = BoundedClobClient(
            clob_url, chain_id=POLYGON_CHAIN_ID, key=private_key, signature_type=signature_type, funder=funder
        )
        self.address: str = self._client.get_address()
        self.funder: str = funder or self.address

    def credentials(self, given: tuple[str, str, str] = ("", "", "")) -> ApiCreds:
        """The API key of this wallet: the one that is given, or created at the first call ever and derived
        afterwards.

        Raises
        ------
        Fatal
            If the venue gives none.
        Temporary
            If the venue does not answer.
        """
        try:
            creds = ApiCreds(*given) if all(given) else self._existing_key() or self._client.create_api_key()
        except NO_ANSWER as error:
            if _refused(error):
                raise Fatal(
                    f"no API key could be obtained for {self.address}: {one_line(error)}",
                    "Check the wallet's key",
                ) from None
            why = one_line(repr(error))
            raise Temporary(f"no API key could be obtained for {self.address}: {why}") from None
        self._client.set_api_creds(creds)
        return creds

    def _existing_key(self) -> ApiCreds | None:
        try:
            return self._client.derive_api_key()
        except PolyApiException as error:
            if not _refused(error):
                raise
            return None

    # --- the venue -------------------------------------------------------------------------------

    def clock_skew_s(self) -> float:
        """This machine's clock minus the venue's, in seconds; the venue tells whole seconds.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        before = time.time()
        with _describe_errors("the venue's time"):
            answer = float(cast(Any, self._client.get_server_time()))
        # The venue's second began up to one second ago, and it said so half-way through the question.
        return (before + time.time()) / 2 - (answer + 0.5)

    def clob_version(self) -> int:
        """The version of the orders that the venue takes. (The library's own question says 2 when it fails.)

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors("the venue's order version"):
            return int(_get(f"{self._url}/version")["version"])

    # --- the account -----------------------------------------------------------------------------

    def closed_only(self) -> bool:
        """Whether the venue lets this account only close positions.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"the trading permission of {self.address}"):
            answer: Any = self._client.get_closed_only_mode()
            if not isinstance(answer["closed_only"], bool):
                raise TypeError(f"closed_only is {answer['closed_only']!r}")
            return answer["closed_only"]

    def balance(self) -> Decimal:
        """Free pUSD of the account.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        return self.funds().balance

    def funds(self, signature_type: int | None = None) -> Funds:
        """Free pUSD and allowances of the wallet that the venue derives from this key and a signature type.

        Parameters
        ----------
        signature_type : int, optional
            The account's own if absent. With a wrong one the venue truthfully says that there is nothing.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        kind = self._signature_type if signature_type is None else signature_type
        with _describe_errors(f"the balance of {self.address} as signature type {kind}"):
            return _funds(self._as(kind).get_balance_allowance(_COLLATERAL))

    def funded_types(self) -> dict[int, Decimal]:
        """The balance that each signature type sees.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        return {kind: self.funds(kind).balance for kind in SIGNATURE_TYPES}

    def _as(self, signature_type: int) -> BoundedClobClient:
        """The library's client as a wallet of another type: it asks with its own, whatever it is told."""
        if signature_type == self._signature_type:
            return self._client
        return BoundedClobClient(
            self._url,
            chain_id=POLYGON_CHAIN_ID,
            key=self._private_key,
            creds=self._client.creds,
            signature_type=signature_type,
        )

    def redeemable(self, data_api_url: str) -> list[Redeemable]:
        """Positions in resolved markets that the wallet still holds, as the Data API (version 2) knows them.

        It is behind the chain by one to three minutes.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        found: list[Redeemable] = []
        asked: dict[str, Any] = {"user": self.funder, "status": "REDEEMABLE", "limit": POSITIONS_PAGE}
        with _describe_errors(f"the positions of {self.funder}"):
            for _ in range(MAX_POSITIONS_PAGES):
                page: _Positions = _get(f"{data_api_url}/v2/positions", asked, _Positions)
                found += [_redeemable(row) for row in page.data if row.redeemable]
                if page.pagination.next_cursor is None:
                    return found
                asked["cursor"] = page.pagination.next_cursor
            raise ValueError(f"no end of the list after {MAX_POSITIONS_PAGES} pages")

    def trades(self, condition_id: str) -> list[dict[str, Any]]:
        """This account's trades in one market, as the venue words them.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"the trades of {condition_id}"):
            return list(self._client.get_trades(TradeParams(market=condition_id)))

    def open_orders(self) -> list[str]:
        """Ids of the orders of this wallet that rest at the venue, in any market.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"the open orders of {self.funder}"):
            return [
                str(order["id"])
                for order in self._client.get_open_orders()
                if str(order["maker_address"]).lower() == self.funder.lower()
            ]

    def killed(self, order_id: str) -> bool:
        """Whether the venue knows this order and says that it is over without a match.

        An order it does not know may still match: its index is behind by up to hours.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"order {order_id}"):
            order = self._order(order_id)
            if order is None:
                return False
            if not isinstance(order, dict):
                raise TypeError("the answer is not an order")
            dead = str(order.get("status", "")).upper().startswith(("CANCELED", "UNMATCHED", "INVALID"))
            return dead and Decimal(str(order.get("size_matched") or 0)) == 0

    def _order(self, order_id: str) -> Any:
        try:
            return self._client.get_order(order_id)
        except PolyApiException as error:
            if error.status_code == 404:
                return None
            raise


def geoblock(url: str) -> Geoblock:
    """Whether orders are taken from this machine's address. Public: needs no key.

    Raises
    ------
    Temporary
        If nobody answers there, or something else.
    """
    with _describe_errors("the geoblock status"):
        answer = _get(url)
        if not isinstance(answer["blocked"], bool):
            raise TypeError(f"blocked is {answer['blocked']!r}")
        return Geoblock(
            blocked=answer["blocked"],
            country=one_line(answer.get("country") or "", 40),
            region=one_line(answer.get("region") or "", 40),
        )


_COLLATERAL = BalanceAllowanceParams(cast(AssetType, AssetType.COLLATERAL))


def _funds(answer: Any) -> Funds:
    allowances = answer["allowances"] if "allowances" in answer else {ORDER_SPENDERS[0]: answer["allowance"]}
    return Funds(
        balance=int(answer["balance"]) / UNIT,
        allowances={str(spender): int(amount) / UNIT for spender, amount in allowances.items()},
    )


def _redeemable(row: _Position) -> Redeemable:
    return Redeemable(
        condition_id=row.condition_id.lower(),
        slug=one_line(row.slug or ""),
        outcome=one_line(row.outcome or ""),
        shares=row.current_size,
        pays=row.current_price,
    )


_http = BoundedHttp(total_s=REQUEST_LIMIT_S)


def _get(url: str, asked: dict[str, Any] | None = None, kind: Any = Any) -> Any:
    answer = _http.get(url, params=asked)
    answer.raise_for_status()
    value = msgspec.json.decode(answer.content, type=kind)
    require_shallow(value)
    return value


def _refused(error: Exception) -> bool:
    """Whether the venue understood a question and said no."""
    status = error.status_code if isinstance(error, PolyApiException) else None
    return status is not None and 400 <= status < 500 and status not in LATER


@contextmanager
def _describe_errors(what: str) -> Iterator[None]:
    """Turn every way of not being told `what` into Temporary, with what to do where that is known."""
    try:
        yield
    except (*NO_ANSWER, httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError, RecursionError) as error:
        hint = ""
        if isinstance(error, PolyApiException) and error.status_code == 401:
            hint = ". Unset POLYMARKET_API_KEY, _API_SECRET and _PASSPHRASE to derive them"
        raise Temporary(f"{what} could not be read from the venue: {one_line(repr(error))}{hint}") from None


def throwaway_key(path: Path) -> str:
    """The practice account's key, made at the first call and kept in a file only its owner can read.

    It never holds real money: it exists so that practice orders are really signed.
    """
    if path.is_file():
        return str(json.loads(path.read_text())["private_key"])
    path.parent.mkdir(parents=True, exist_ok=True)
    key = "0x" + bytes(Account.create().key).hex()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"note": "practice account, never holds real money", "private_key": key}, file)
        file.flush()
        os.fsync(file.fileno())
    return key
