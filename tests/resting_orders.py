"""Leaves a resting order at a practice venue, as another program with the same key would."""

import json

import httpx
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgsV2

POLYGON = 137


def leave_resting_order(url: str, key: str, *, ahead: int = 0) -> str:
    """Order five Up shares at 2 cents, good until cancelled; returns the order's id.

    `ahead` markets after the running one, or in the next one if that is of Protocol V2; a venue cancels
    resting orders when their market ends.
    """
    client = ClobClient(url, POLYGON, key=key)
    client.set_api_creds(client.create_or_derive_api_key())
    info = httpx.get(f"{url}/practice/info", trust_env=False).raise_for_status().json()
    series, _, start = info["current"].rpartition("-")
    markets = (
        httpx.get(f"{url}/gamma/markets/slug/{series}-{int(start) + 900 * number}", trust_env=False)
        .raise_for_status()
        .json()
        for number in (ahead, ahead + 1)
    )
    (up, _) = next(json.loads(market["clobTokenIds"]) for market in markets if market["version"] == "v1")
    return client.create_and_post_order(OrderArgsV2(token_id=up, price=0.02, size=5, side="BUY"))["orderID"]
