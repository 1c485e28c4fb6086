"""What the adapter lacks: keys for a wallet, and the account's balance. Blocking: call it from a thread."""

import json
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from eth_account import Account
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import ApiCreds, AssetType, BalanceAllowanceParams, TradeParams
from py_clob_client_v2.exceptions import PolyApiException

from errors import Fatal, Temporary

POLYGON = 137
UNIT = Decimal(1_000_000)


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
        self._signature_type = signature_type
        self._client = ClobClient(
            clob_url, chain_id=POLYGON, key=private_key, signature_type=signature_type, funder=funder
        )
        self.address: str = self._client.get_address()

    def credentials(self, given: tuple[str, str, str] = ("", "", "")) -> ApiCreds:
        """The API key of this wallet: the one that is given, or created at the first call ever and derived
        afterwards.

        Raises
        ------
        Fatal
            If the venue gives none.
        """
        try:
            creds = ApiCreds(*given) if all(given) else self._existing_key() or self._client.create_api_key()
        except PolyApiException as error:
            raise Fatal(
                f"the venue gave no API key for {self.address}: {error}", "Check the wallet's key"
            ) from None
        self._client.set_api_creds(creds)
        return creds

    def _existing_key(self) -> ApiCreds | None:
        try:
            return self._client.derive_api_key()
        except PolyApiException as error:
            if error.status_code is None or error.status_code >= 500:
                raise
            return None

    def clock_skew_s(self) -> float:
        """This machine's clock minus the venue's, in seconds; the venue tells whole seconds.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        before = time.time()
        try:
            told = float(cast(Any, self._client.get_server_time()))
        except (PolyApiException, TypeError, ValueError) as error:
            raise Temporary(f"the venue did not tell its time: {error!r}") from None
        # The venue's second began up to one second ago, and it said so half-way through the question.
        return (before + time.time()) / 2 - (told + 0.5)

    def balance(self) -> Decimal:
        """Free pUSD of the account.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        params = BalanceAllowanceParams(
            cast(AssetType, AssetType.COLLATERAL), signature_type=self._signature_type
        )
        try:
            answer: Any = self._client.get_balance_allowance(params)
            return Decimal(answer["balance"]) / UNIT
        except (PolyApiException, KeyError, TypeError, ArithmeticError) as error:
            raise Temporary(f"the venue did not tell the balance of {self.address}: {error!r}") from None

    def trades(self, condition_id: str) -> list[dict[str, Any]]:
        """This account's trades in one market, as the venue words them.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        try:
            return list(self._client.get_trades(TradeParams(market=condition_id)))
        except (PolyApiException, TypeError) as error:
            raise Temporary(f"the venue did not tell the trades of {condition_id}: {error!r}") from None

    def killed(self, order_id: str) -> bool:
        """Whether the venue knows this order and says that it is over without a match.

        An order it does not know may still match: its index is behind by up to hours.

        Raises
        ------
        Temporary
            If the venue does not answer.
        """
        try:
            order: Any = self._client.get_order(order_id)
        except PolyApiException as error:
            if error.status_code == 404:
                return False
            raise Temporary(f"the venue did not tell about order {order_id}: {error!r}") from None
        if not isinstance(order, dict):
            return False
        dead = str(order.get("status", "")).upper().startswith(("CANCELED", "UNMATCHED", "INVALID"))
        return dead and Decimal(str(order.get("size_matched") or 0)) == 0


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
