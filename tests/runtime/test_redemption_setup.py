"""The redeemer and the waiting times of a worker, by its plan and settings."""

import json
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent / "execution"))
from canned_server import CannedServer

from config import Settings
from core.nautilus_core.data_engine.node import Wallet
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_clock import MarketClock
from execution.ledger import Mode, Venue
from execution.settlement.redeemers import OfficialRedeemer, PracticeRedeemer
from execution.settlement.redemption import RedemptionTiming
from runtime.worker.plan import WorkerPlan
from runtime.worker.redemption_setup import choose_redeemer, redemption_timing

URLS = VenueUrls(clob="http://c", gamma="http://g", data_api="http://d", ws="ws://w/")
PLAN = WorkerPlan(
    mode=Mode.LIVE,
    venue=Venue.POLYMARKET,
    profile="live",
    market_urls=URLS,
    urls=URLS,
    clock=MarketClock(),
    note="",
    markets=0,
    live_path=True,
)
OWNER = "0x" + "11" * 20
WALLET = Wallet(
    private_key="0x" + "11" * 32,  # a test key, never holds money
    api_key="key",
    api_secret="c2VjcmV0",
    passphrase="phrase",
    funder=OWNER,
)


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
def test_real_money_is_redeemed_by_the_official_client_if_it_can(signature_type: int) -> None:
    """An own account without more, every other wallet with the relayer key only; else the reason is given."""
    wallet = msgspec.structs.replace(WALLET, signature_type=signature_type)
    with_key = Settings.model_validate({"relayer_api_key": "key", "relayer_api_key_address": OWNER})
    assert isinstance(choose_redeemer(with_key, PLAN, wallet), OfficialRedeemer)
    without = choose_redeemer(Settings(), PLAN, wallet)
    assert isinstance(without, OfficialRedeemer if signature_type == 0 else str)


def test_the_official_client_redeems_for_the_wallet_that_holds_the_positions() -> None:
    """It receives the funder as the wallet, and each key in its place."""
    redeemer = choose_redeemer(Settings(), PLAN, WALLET)
    assert isinstance(redeemer, OfficialRedeemer)
    given = redeemer._keys
    assert given.wallet == "0x1111111111111111111111111111111111111111"
    assert given.private_key == "0x1111111111111111111111111111111111111111111111111111111111111111"
    assert (given.api_key, given.api_secret, given.passphrase) == ("key", "c2VjcmV0", "phrase")


def test_the_practice_venue_is_asked_to_pay_the_wallet_that_holds_the_positions() -> None:
    """The address in the request is the funder, not the API key."""
    with CannedServer() as server:
        server.answers["POST", "/practice/redeem"] = (200, {"amount": "1"})
        urls = msgspec.structs.replace(URLS, clob=server.url)
        rehearsal = msgspec.structs.replace(PLAN, mode=Mode.SIMULATION, urls=urls)
        redeemer = choose_redeemer(Settings(), rehearsal, WALLET)
        assert isinstance(redeemer, PracticeRedeemer)
        redeemer.redeem("0xc0")
        ((_, _, body),) = server.asked
    assert json.loads(body) == {
        "address": "0x1111111111111111111111111111111111111111",
        "condition_id": "0xc0",
    }


def test_practice_money_is_redeemed_by_its_venue() -> None:
    """The rehearsal of the live path never uses the relayer or the chain."""
    rehearsal = msgspec.structs.replace(PLAN, mode=Mode.SIMULATION)
    assert isinstance(choose_redeemer(Settings(), rehearsal, WALLET), PracticeRedeemer)


def test_patience_shrinks_with_the_market_clock() -> None:
    """At the real speed they are the usual ones; at 15× a market is short, and five minutes are twenty
    seconds."""
    assert redemption_timing(PLAN) == RedemptionTiming()
    fast = msgspec.structs.replace(PLAN, clock=MarketClock(speed=15.0))
    assert redemption_timing(fast) == RedemptionTiming(interval_s=4.0, patience_s=20.0, retry_s=40.0)


@pytest.mark.parametrize("given", [{"relayer_api_key": "key"}, {"relayer_api_key_address": OWNER}])
def test_half_a_relayer_key_stops_the_start(given: dict[str, str]) -> None:
    """Key and address are given together; the message names both settings, never the key."""
    with pytest.raises(ValueError, match="RELAYER_API_KEY, RELAYER_API_KEY_ADDRESS is one of two"):
        Settings.model_validate(given)
