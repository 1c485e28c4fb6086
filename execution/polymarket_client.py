"""Requests that the adapter lacks: keys, balance, permissions and won positions of a wallet. Blocking."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
from eth_account import Account
from loguru import logger
from py_clob_client_v2.clob_types import ApiCreds, AssetType, BalanceAllowanceParams, TradeParams
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.exceptions import PolyApiException

from common.atomic_file import write_atomically
from common.bounded_http import BoundedHttp, require_shallow
from common.constants import POLYGON_CHAIN_ID
from common.plain_text import one_line
from errors import Fatal, Temporary
from execution.amounts import LARGEST
from execution.clob_http import REQUEST_LIMIT_S, BoundedClobClient
from execution.venue_answers import whole_seconds
from models import Frozen, ProtocolVersion, fill_cost

UNIT = Decimal(1_000_000)
SIGNATURE_TYPES = (0, 1, 2, 3)
"""Own account, proxy of an e-mail login, safe of a browser wallet, deposit wallet."""
_CONTRACTS = get_contract_config(POLYGON_CHAIN_ID)
EXCHANGES = {
    ProtocolVersion.V1: str(_CONTRACTS.exchange_v2),
    ProtocolVersion.V2: str(_CONTRACTS.exchange_v3),
}
"""The contract that collects the money of an order, by the protocol version of its market."""
EXCHANGE_NAMES = {ProtocolVersion.V1: "CTF Exchange V2", ProtocolVersion.V2: "Exchange V3"}
POSITIONS_PAGE = 100
MAX_POSITIONS_PAGES = 50
"""Maximum pages of a list of positions."""
KEY_PAUSE_S = 10.0
"""Seconds between two attempts to obtain the API key."""
PASSING = (401, 403)
"""Refusals of an API key that may be temporary: it is not active yet, or a proxy of the venue refuses."""
LATER = (408, 425, 429)
"""Statuses of temporary refusals."""
NO_ANSWER = (PolyApiException, AttributeError, KeyError, TypeError, ValueError, ArithmeticError)
"""Errors of the venue's library if there is no answer, a refusal, or an unexpected answer."""


class Funds(Frozen, frozen=True):
    """A wallet's free pUSD, and the allowance of each contract, by the contract's address."""

    balance: Decimal
    allowances: dict[str, Decimal]

    def allowance(self, version: ProtocolVersion) -> Decimal | None:
        """The allowance for an order in a market of this version; None if the venue does not state it."""
        wanted = EXCHANGES[version].lower()
        return next((given for key, given in self.allowances.items() if key.lower() == wanted), None)


class Geoblock(Frozen, frozen=True):
    """Whether the venue accepts orders from this machine's address, and its location as seen by the venue."""

    blocked: bool
    country: str
    region: str


class Redeemable(Frozen, frozen=True):
    """A position in a resolved market that is still in the wallet.

    `slug`, `outcome` and `token_id` are empty if the venue does not return them.
    """

    condition_id: str
    slug: str
    outcome: str
    shares: Decimal
    pays: Decimal
    """pUSD per share: 1 or 0, or the split of a market without a winner."""
    token_id: str = ""

    @property
    def position_id(self) -> str | None:
        """Its id if it is a position of Protocol V2, by the form of the id."""
        structural = self.token_id and ProtocolVersion.of_id(self.token_id) is ProtocolVersion.V2
        return self.token_id if structural else None

    @property
    def won(self) -> bool:
        return self.pays > 0

    @property
    def amount(self) -> Decimal:
        """Its value, pUSD."""
        return fill_cost(self.shares, self.pays)


class _Position(msgspec.Struct):
    condition_id: str
    current_size: Decimal
    current_price: Decimal
    redeemable: bool
    slug: str | None = None
    outcome: str | None = None
    token_id: str | None = None


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
        Address that holds the funds; the key's own if None.
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
        self._given = False
        self.address: str = self._client.get_address()
        self.funder: str = funder or self.address

    def credentials(
        self,
        given: tuple[str, str, str] = ("", "", ""),
        *,
        patience_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> ApiCreds:
        """The API key of this wallet: the given one, or one that is created at the first call and derived
        afterwards.

        Parameters
        ----------
        given : tuple of str
            Key, secret and passphrase; empty to derive them.
        patience_s : float
            Seconds to wait for a venue that refuses the key temporarily: a new one becomes active after
            minutes, and the venue's protection against attacks may refuse for a while.
        sleep : Callable[[float], None]
            Waits.

        Raises
        ------
        Fatal
            If the venue refuses.
        Temporary
            If the venue does not answer, or refuses temporarily.
        """
        self._given = all(given)
        waited = 0.0
        while True:
            try:
                creds = ApiCreds(*given) if self._given else self._derive_or_create()
                self._client.set_api_creds(creds)
                if patience_s and not self._given:
                    self._client.get_closed_only_mode()
                return creds
            except NO_ANSWER as error:
                refusal = error
            if waited >= patience_s or not _may_pass(refusal):
                raise self._no_key(refusal, waited) from None
            if not waited:
                logger.warning(
                    f"the venue refuses the API key for now, waiting for up to {patience_s:.0f} s: "
                    f"{one_line(repr(refusal))}"
                )
            sleep(KEY_PAUSE_S)
            waited += KEY_PAUSE_S

    def _derive_or_create(self) -> ApiCreds:
        """Derive the key, or create the first one.

        Creating a key that exists is refused with an uninformative text: the cause is then the refusal to
        derive it.
        """
        try:
            return self._client.derive_api_key()
        except PolyApiException as error:
            if not _refused(error):
                raise
            first = error
        if _may_pass(first):
            # The key may exist: none is created while the venue does not deny that.
            raise first
        try:
            return self._client.create_api_key()
        except PolyApiException as error:
            raise first if _refused(error) else error from None

    def _no_key(self, error: Exception, waited_s: float) -> Fatal | Temporary:
        """The error for the caller; a temporary refusal becomes final after the waiting time."""
        why = f"no API key could be obtained for {self.address}: {one_line(repr(error))}"
        status = error.status_code if isinstance(error, PolyApiException) else None
        if not _refused(error):
            return Temporary(why)
        if status == 403:
            todo = "Check whether the venue accepts this machine's address, and try again later"
        elif status == 401:
            todo = "Check POLYMARKET_PK and the clock; a new key needs some minutes until it is accepted"
        else:
            todo = "Check the wallet's key"
        return Temporary(f"{why}. {todo}") if _may_pass(error) and not waited_s else Fatal(why, todo)

    # --- the venue -------------------------------------------------------------------------------

    def clock_skew_s(self) -> float:
        """This machine's clock minus the venue's, in seconds; the venue's time has whole seconds.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        before = time.time()
        with _describe_errors("the venue's time"):
            answer = whole_seconds(self._client.get_server_time())
        # The venue's second began up to one second ago, and was read in the middle of the request.
        return (before + time.time()) / 2 - (answer + 0.5)

    def clob_version(self) -> int:
        """The order version that the venue accepts. (The library's own function returns 2 if it fails.)

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors("the venue's order version"):
            return int(_get(f"{self._url}/version")["version"])

    # --- the account -----------------------------------------------------------------------------

    def closed_only(self) -> bool:
        """Whether the venue allows this account only to close positions.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"the trading permission of {self.address}", given=self._given):
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
            The account's own by default. For a wrong one the venue returns zero.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        kind = self._signature_type if signature_type is None else signature_type
        with _describe_errors(f"the balance of {self.address} as signature type {kind}", given=self._given):
            return parse_funds(self._as(kind).get_balance_allowance(_COLLATERAL))

    def funded_types(self) -> dict[int, Decimal]:
        """The balance by signature type.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        return {kind: self.funds(kind).balance for kind in SIGNATURE_TYPES}

    def _as(self, signature_type: int) -> BoundedClobClient:
        """The library's client for a wallet of another type: it always uses its own signature type."""
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
        """Positions in resolved markets that the wallet still holds, from the Data API (version 2).

        Its data are one to three minutes behind the chain.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        found: list[Redeemable] = []
        asked: dict[str, Any] = {"user": self.funder, "status": "REDEEMABLE", "limit": POSITIONS_PAGE}
        with _describe_errors(f"the positions of {self.funder}", given=self._given):
            for _ in range(MAX_POSITIONS_PAGES):
                page: _Positions = _get(f"{data_api_url}/v2/positions", asked, _Positions)
                found += [_redeemable(row) for row in page.data if row.redeemable]
                if page.pagination.next_cursor is None:
                    return found
                asked["cursor"] = page.pagination.next_cursor
            raise ValueError(f"no end of the list after {MAX_POSITIONS_PAGES} pages")

    def trades(self, condition_id: str, position_id: str | None = None) -> list[dict[str, Any]]:
        """This account's trades in one market, in the venue's format.

        Those of a position of Protocol V2 are selected by its id: its condition has 31 bytes, and it is
        unknown whether the order API pads it.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        wanted = (
            TradeParams(market=condition_id) if position_id is None else TradeParams(asset_id=position_id)
        )
        with _describe_errors(f"the trades of {condition_id}", given=self._given):
            rows = list(self._client.get_trades(wanted))
            if not all(isinstance(row, dict) for row in rows):
                raise TypeError("a row of the list is not a trade")
            return rows

    def open_orders(self) -> list[str]:
        """Ids of this wallet's resting orders in all markets.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"the open orders of {self.funder}", given=self._given):
            return [
                str(order["id"])
                for order in self._client.get_open_orders()
                if str(order["maker_address"]).lower() == self.funder.lower()
            ]

    def killed(self, order_id: str) -> bool:
        """Whether the venue has this order and reports that it ended without a match.

        An order that it does not have may still match: its index is up to hours behind.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        with _describe_errors(f"order {order_id}", given=self._given):
            order = self._order(order_id)
            if order is None:
                return False
            if not isinstance(order, dict):
                raise TypeError("the answer is not an order")
            # The venue documents the same states with and without this prefix.
            status = str(order.get("status", "")).upper().removeprefix("ORDER_STATUS_")
            dead = status.startswith(("CANCELED", "CANCELLED", "UNMATCHED", "INVALID"))
            return dead and Decimal(str(order.get("size_matched") or 0)) == 0

    def _order(self, order_id: str) -> Any:
        try:
            return self._client.get_order(order_id)
        except PolyApiException as error:
            if error.status_code == 404:
                return None
            raise


def geoblock(url: str) -> Geoblock:
    """Whether orders are accepted from this machine's address. Public: needs no key.

    Raises
    ------
    Temporary
        If there is no answer, or an unexpected one.
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


def parse_funds(answer: Any) -> Funds:
    """Read the venue's answer about pUSD.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If it is not such an answer.
    """
    if "allowances" in answer:
        allowances = answer["allowances"]
    else:
        allowances = {EXCHANGES[ProtocolVersion.V1]: answer["allowance"]}
    return Funds(
        balance=_units(answer["balance"]),
        allowances={str(spender): _units(amount) for spender, amount in allowances.items()},
    )


def _units(value: Any) -> Decimal:
    """An amount in millionths, as pUSD."""
    text = str(value)
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{one_line(text, 40)} is not a number of millionths")
    return int(text) / UNIT


_TOKEN_ID = re.compile(r"[0-9]{1,78}")
"""A token's id is an unsigned number of 256 bits, in decimal."""


def _redeemable(row: _Position) -> Redeemable:
    return Redeemable(
        condition_id=row.condition_id.lower(),
        token_id=row.token_id if row.token_id is not None and _TOKEN_ID.fullmatch(row.token_id) else "",
        slug=one_line(row.slug or ""),
        outcome=one_line(row.outcome or ""),
        shares=_between(row.current_size, LARGEST),
        pays=_between(row.current_price, Decimal(1)),
    )


def _between(value: Decimal, largest: Decimal) -> Decimal:
    if not (value.is_finite() and 0 <= value <= largest):
        raise ValueError(f"{one_line(value, 40)} is not between 0 and {largest}")
    return value


_http = BoundedHttp(total_s=REQUEST_LIMIT_S)


def _get(url: str, asked: dict[str, Any] | None = None, kind: Any = Any) -> Any:
    answer = _http.get(url, params=asked)
    answer.raise_for_status()
    value = msgspec.json.decode(answer.content, type=kind)
    require_shallow(value)
    return value


def _may_pass(error: Exception) -> bool:
    """Whether a refusal of the API key may be temporary."""
    status = error.status_code if isinstance(error, PolyApiException) else None
    return status is not None and (status in PASSING or status in LATER or status >= 500)


def _refused(error: Exception) -> bool:
    """Whether the venue rejected a valid request."""
    status = error.status_code if isinstance(error, PolyApiException) else None
    return status is not None and 400 <= status < 500 and status not in LATER


@contextmanager
def _describe_errors(what: str, *, given: bool = False) -> Iterator[None]:
    """Convert every failure to read `what` to Temporary, with the next step if it is known.

    `given`: whether the API key is one of the settings.
    """
    try:
        yield
    except (*NO_ANSWER, httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError, RecursionError) as error:
        hint = ""
        if isinstance(error, PolyApiException) and error.status_code == 401:
            hint = (
                ". Unset POLYMARKET_API_KEY, _API_SECRET and _PASSPHRASE to derive them"
                if given
                else ". Check the clock; a new API key needs some minutes until it is accepted"
            )
        raise Temporary(f"{what} could not be read from the venue: {one_line(repr(error))}{hint}") from None


def throwaway_key(path: Path) -> str:
    """The practice account's key, created at the first call and stored in a file only its owner can read.

    It never holds real money: it is needed because practice orders are signed too.
    """
    if path.is_file():
        return str(json.loads(path.read_text())["private_key"])
    key = "0x" + bytes(Account.create().key).hex()
    note = {"note": "practice account, never holds real money", "private_key": key}
    write_atomically(path, json.dumps(note).encode(), private=True)
    return key
