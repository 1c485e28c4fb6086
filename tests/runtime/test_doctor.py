"""The doctor: each check against real files, sockets and a practice venue, and the command itself."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
from bot_process import BotProcess
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from ledger_builders import market, v2_market
from pydantic import SecretStr
from resting_orders import leave_resting_order

sys.path += [str(Path(__file__).parents[1] / name) for name in ("venue", "execution")]

from canned_server import CannedServer
from process import VenueProcess

import runner
from config import Settings
from control.halt_file import HALT_FILE, HaltFile
from control.locks import hold_state, hold_wallet, wallet_lock
from control.mode_file import FileModeStore
from control.mode_store import Endpoint, RedisModeStore
from control.running import FoundStore
from core.nautilus_core.instruments.market_clock import MarketClock
from errors import ConfigError, Fatal
from execution.ledger import ledger_path
from execution.ledger.schema import APPLICATION_ID
from execution.wallets import wallets_of
from models import Market, ProtocolVersion
from runtime.doctor import file_checks, machine_checks, mode_checks, network_checks
from runtime.doctor.account_checks import AccountCheck, ConfiguredWallet, choose_wallet
from runtime.doctor.finding import Finding, Status, run_check
from runtime.session import practice_urls
from runtime.worker.account import operator_key, practice_key
from runtime.worker.plan import LiveWallet

TEST_KEY = "0x" + "11" * 32  # a test key, never holds money
OWN = Account.from_key(TEST_KEY).address
STRANGE = "0x" + "ab" * 20
V1, V2 = ProtocolVersion
CTF_EXCHANGE = "0xE111180000d2663C0091e4f400237545B87B996B"
EXCHANGE_V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
PROXY, SAFE, DEPOSIT = (wallets_of(OWN)[kind][0] for kind in (1, 2, 3))


def statuses(found) -> list[tuple[str, str]]:
    return [(finding.area, finding.status.value) for finding in found]


def only(found) -> Finding:
    (finding,) = found
    return finding


@pytest.fixture(scope="module")
def venue():
    """A practice venue with generated markets at the real speed, so that its books are constant."""
    with VenueProcess.start("--source", "synthetic", "--speed", "1", "--start-at", "100") as running:
        yield running


@pytest.fixture
def faultless(venue):
    yield venue
    venue.clear_faults()


@pytest.fixture
def settings(tmp_path):
    return Settings(
        state_dir=tmp_path / "state",
        log_dir=tmp_path / "logs",
        nautilus_log_dir=tmp_path / "logs",
        paper_trades_file=tmp_path / "trades.json",
    )


# --- which wallet ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("funder", "kind", "funded", "chosen"),
    [
        ("", None, {0: 5}, (OWN, 0)),
        (OWN.lower(), None, {0: 5, 2: 9}, (OWN.lower(), 0)),
        ("", None, {0: 5, 1: 5, 2: 5, 3: 5}, (OWN, 0)),
        (SAFE, None, {2: 5}, (SAFE, 2)),
        (DEPOSIT.lower(), None, {0: 5, 3: 5}, (DEPOSIT.lower(), 3)),
        (wallets_of(OWN)[3][1], 3, {3: 5}, (wallets_of(OWN)[3][1], 3)),
        (PROXY, 1, {1: 5, 2: 7}, (PROXY, 1)),
        (PROXY, 1, {}, (PROXY, 1)),
        (SAFE, None, {1: 5, 2: 6}, (SAFE, 2)),
        ("", 0, {}, (OWN, 0)),
    ],
)
def test_the_wallet_is_the_one_with_the_money(funder, kind, funded, chosen):
    """Unset, the signature type is the one that has money and that key and funder allow."""
    balances = {one: Decimal(funded.get(one, 0)) for one in range(4)}
    assert choose_wallet(ConfiguredWallet(OWN, funder, kind), balances) == LiveWallet(OWN, *chosen)


@pytest.mark.parametrize(
    ("funder", "kind", "funded", "fragment"),
    [
        ("", None, {}, "no wallet of the key .* has funds.* Fund it"),
        ("", None, {2: 5}, r"signature type 2 \(browser wallet\): \$5.* Set POLYMARKET_FUNDER"),
        ("", 3, {3: 5}, "signature type 3 is a deposit wallet.* Set POLYMARKET_FUNDER"),
        (SAFE, None, {0: 5}, r"signature type 0 \(own wallet\): \$5.* Unset POLYMARKET_FUNDER"),
        (STRANGE, 0, {0: 5}, "POLYMARKET_FUNDER is 0xabab.* Unset POLYMARKET_FUNDER"),
        (STRANGE, None, {1: 5, 2: 6}, "ambiguous.* Set POLYMARKET_SIGNATURE_TYPE to 1 or 2"),
        (
            STRANGE,
            3,
            {3: 5},
            f"lies at {DEPOSIT} or 0x.*POLYMARKET_FUNDER is 0xabab.*Set POLYMARKET_FUNDER to",
        ),
        (STRANGE, None, {2: 5}, rf"signature type 2 \(browser wallet\) lies at {SAFE}, and .* is 0xabab"),
        (SAFE, 3, {3: 5}, f"lies at {DEPOSIT}.*Set POLYMARKET_SIGNATURE_TYPE to 2, or POLYMARKET_FUNDER to"),
    ],
)
def test_a_wallet_that_cannot_be_determined_is_refused(funder, kind, funded, fragment):
    """Contradicting or ambiguous settings end with what to set."""
    balances = {one: Decimal(funded.get(one, 0)) for one in range(4)}
    with pytest.raises(ConfigError, match=f"(?s){fragment}"):
        choose_wallet(ConfiguredWallet(OWN, funder, kind), balances)


@pytest.mark.parametrize("content", ["", "not JSON", "{}"])
def test_the_error_of_a_damaged_practice_wallet_explains_how_to_start_over(content, tmp_path):
    """The file is named, and the folder to remove."""
    wallet = tmp_path / "venue" / "wallet.json"
    wallet.parent.mkdir()
    wallet.write_text(content)
    with pytest.raises(Fatal, match=f"{wallet} cannot be used.*Remove {tmp_path} to start over"):
        practice_key(tmp_path)


@given(st.text(alphabet="0123456789abcdefgx \n", min_size=8, max_size=80))
def test_what_is_no_key_is_refused_without_repeating_it(text):
    """Any text given as a key is either one, or the error contains none of it."""
    settings = Settings(polymarket_pk=SecretStr(text))
    if re.fullmatch("(0x)?[0-9a-f]{64}", text):
        assert operator_key(settings) == text
        return
    with pytest.raises(ConfigError, match="POLYMARKET_PK is not a private key") as refused:
        operator_key(settings)
    assert text not in str(refused.value)


def test_a_seed_phrase_is_named_without_repeating_it():
    """It is the most common mistake with a key, and none of its words may be on the screen."""
    phrase = "abandon " * 11 + "about"
    with pytest.raises(ConfigError, match=r"it has 12 words.*export the private key") as refused:
        operator_key(Settings(polymarket_pk=SecretStr(phrase)))
    assert "abandon" not in str(refused.value)


@pytest.mark.parametrize("number", [0, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141])
def test_a_number_outside_the_curve_is_no_key(number):
    """0 and the order of the curve have 64 digits and are not keys."""
    with pytest.raises(ConfigError, match="not a private key"):
        operator_key(Settings(polymarket_pk=SecretStr(f"0x{number:064x}")))


# --- local checks -----------------------------------------------------------------------------------


def test_secrets_are_shown_as_set_and_addresses_without_their_paths():
    """The line of settings contains the changes, no secret, and no key in an address."""
    shown = only(
        file_checks.changed(
            Settings(
                polymarket_pk=SecretStr(TEST_KEY),
                polygon_rpc_url="https://user:word@rpc.example/v2/provider-key?also=secret",
                max_positions=3,
            )
        )
    ).what
    assert shown == "MAX_POSITIONS=3 POLYMARKET_PK=(set) POLYGON_RPC_URL=https://rpc.example"
    assert only(file_checks.changed(Settings())).what == "all at their defaults"


@pytest.mark.parametrize(
    ("mode", "live", "status"), [(0o600, True, "ok"), (0o640, False, "warn"), (0o604, True, "fail")]
)
def test_an_env_file_that_others_read_is_an_error_in_live_mode(mode, live, status, tmp_path):
    """In simulation it is a warning; each names the command that corrects it."""
    env = tmp_path / ".env"
    env.write_text("")
    env.chmod(mode)
    found = only(file_checks.env_file(live, env))
    assert found.status == status
    assert found.todo == ("" if status == "ok" else f"chmod 600 {env}")


def test_a_folder_that_takes_no_file_is_named(settings, tmp_path):
    """A file where a folder should be: the setting and the reason are in the finding."""
    (tmp_path / "state").write_text("")
    found = only(file_checks.folders(settings))
    assert found.status is Status.FAIL
    assert "STATE_DIR" in found.what
    assert "LOG_DIR" not in found.what.replace("NAUTILUS_LOG_DIR", "")


def test_ledgers_are_distinguished(settings):
    """None yet, older and damaged: only the last prevents a start."""
    path = ledger_path(settings.state_dir, "live")
    assert only(file_checks.ledger(settings, "live")).what == "live: new"
    path.parent.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-c", f"import sqlite3; sqlite3.connect({str(path)!r}).executescript("
         f"'CREATE TABLE runs (id); PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1')"],
        check=True,
    )  # fmt: skip
    assert "older version" in only(file_checks.ledger(settings, "live")).what
    path.write_bytes(b"not a database" * 1000)
    found = only(run_check("ledger", lambda: file_checks.ledger(settings, "live")))
    assert found.status is Status.FAIL
    assert "Move" in found.todo


def test_a_halt_is_a_warning_with_its_reason(settings):
    """A halted run may start, because open orders have to be settled."""
    HaltFile(settings.state_dir / "live" / HALT_FILE).raise_("three refusals")
    found = only(file_checks.halts(settings, "live"))
    assert found.status is Status.WARN
    assert "three refusals" in found.what
    assert "redis_control.py resume" in found.todo


def test_a_taken_port_is_a_warning(settings):
    """Trading does not need the metrics; switched off, the port is not checked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = settings.model_copy(update={"grafana_port": taken.getsockname()[1]})
        assert only(machine_checks.port_check(busy, True)).status is Status.WARN
        assert "--no-grafana" in only(machine_checks.port_check(busy, False)).what
    assert only(machine_checks.port_check(busy, True)).status is Status.OK


def test_a_chat_without_its_library_is_a_warning(settings, monkeypatch):
    """The finding has the command that installs it; without a chat in the settings there is no finding."""
    chat = {"telegram_token": SecretStr("1:test"), "telegram_chat_id": 7}
    with_chat = settings.model_copy(update=chat)
    assert [each.area for each in file_checks.notifications(settings)] == ["notifications"]
    assert list(file_checks.notifications(with_chat))[1].what == "Telegram chat 7"
    monkeypatch.setattr(file_checks, "find_spec", lambda _: None)
    found = list(file_checks.notifications(with_chat))[1]
    assert (found.area, found.status) == ("chat", Status.WARN)
    assert "uv pip install 'python-telegram-bot" in found.todo


def test_a_library_that_is_not_the_locked_one_is_named(tmp_path):
    """The lock file is satisfied, also with a version for each Python; one with another httpx is not."""
    assert only(machine_checks.libraries_check()).status is Status.OK
    lock = tmp_path / "requirements.lock"
    lock.write_text("httpx==0.0.1 \\\n    --hash=sha256:00\nnobody-has-this==1.0\n")
    found = only(machine_checks.libraries_check(lock))
    assert found.status is Status.WARN
    assert found.what == f"httpx {httpx.__version__} instead of 0.0.1"
    older, newer = (f"python_full_version {sign} '3.13'" for sign in ("<", ">="))
    lock.write_text(f"httpx=={httpx.__version__} ; {older}\nhttpx==0.0.1 ; {newer}\n")
    assert only(machine_checks.libraries_check(lock)).status is Status.OK


def test_the_venues_current_library_is_checked_if_it_is_chosen(monkeypatch):
    """Its name and version are a finding; another version ends the checks of a run that would use it."""
    chosen = Settings(order_client="polymarket-client")
    assert list(machine_checks.order_client_check(Settings())) == []
    assert only(machine_checks.order_client_check(chosen)).what.startswith("polymarket-client 0.14.0 signs")
    monkeypatch.setattr(machine_checks, "POLYMARKET_CLIENT", ("polymarket-client", "0.15.0"))
    with pytest.raises(Fatal, match=r"polymarket-client is 0\.14\.0, the patches are for 0\.15\.0"):
        only(machine_checks.order_client_check(chosen))


def test_a_missing_terminal_is_reported_before_the_start():
    """Without a terminal only the setting can arm; the finding names the available one."""
    assert "no terminal to type" in only(machine_checks.arming_check(Settings(), False)).what
    assert only(machine_checks.arming_check(Settings(), True)).status is Status.OK
    assert only(machine_checks.arming_check(Settings(live_trading_confirm="yes"), False)).status is Status.OK


def test_a_store_that_is_away_fails_live_only(tmp_path):
    """A Redis that is away, or a mode file without its folder, fails --live; simulation starts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = Endpoint("127.0.0.1", server.getsockname()[1])
    for found in (FoundStore(RedisModeStore(gone), "Redis"), FoundStore(FileModeStore(tmp_path), "a file")):
        assert statuses(mode_checks.mode_store(found, tmp_path / "mode.json", True)) == [
            ("mode store", "fail")
        ]
        assert statuses(mode_checks.mode_store(found, tmp_path / "mode.json", False)) == [
            ("mode store", "ok")
        ]


def test_a_check_that_breaks_is_a_finding_without_its_text():
    """An unexpected error is reported by its type, and earlier findings stay."""

    def broken():
        yield Finding("first", Status.OK, "")
        raise RuntimeError(TEST_KEY)

    found = run_check("keys", broken)
    assert statuses(found) == [("first", "ok"), ("keys", "fail")]
    assert "RuntimeError" in found[1].what
    assert TEST_KEY not in found[1].what + found[1].todo


# --- remote checks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "status"), [(0, "ok"), (8, "warn"), (-8, "warn"), (30, "fail")])
def test_a_wrong_clock_is_noticed(seconds, status, faultless):
    """Above 2 s a warning, above 20 s a failure: the venue accepts no request that is that old."""
    if seconds:
        faultless.fault("clock_skew", None, seconds=seconds)
    api, clock = network_checks.order_api(faultless.url)
    assert (api.status, clock.status) == ("ok", status)
    assert seconds == 0 or ("behind" if seconds > 0 else "ahead") in clock.what


def test_who_does_not_answer_is_named(faultless):
    """A closed port, and orders of another version, are failures with the address or the version."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    found = only(network_checks.order_api(closed))
    assert found.status is Status.FAIL
    assert closed in found.what
    with CannedServer() as other:
        other.answers["GET", "/version"] = (200, {"version": 3})
        other.answers["GET", "/time"] = (200, 0)
        newer = next(iter(network_checks.order_api(other.url)))
        assert newer.status is Status.FAIL
        assert "accepts orders of version 3" in newer.what
    assert only(network_checks.geoblock_check(closed)).status is Status.FAIL


def test_where_orders_are_not_taken_from(faultless):
    """The venue's report on the location of this machine."""
    assert only(network_checks.geoblock_check(f"{faultless.url}/api/geoblock")).status is Status.OK
    faultless.fault("geoblocked", None)
    found = only(network_checks.geoblock_check(f"{faultless.url}/api/geoblock"))
    assert found.status is Status.FAIL
    assert "US NY" in found.what


def catalogue(venue: VenueProcess) -> network_checks.CatalogueEndpoints:
    clock = msgspec.convert(venue.ready["clock"], MarketClock)
    return network_checks.CatalogueEndpoints(f"{venue.url}/gamma", venue.ws_url, clock)


def test_the_next_market_is_read_to_its_terms(faultless):
    """Version, rule, tick, fee rate, order size, and that the stream sends a book."""
    market, size, stream = network_checks.markets(Settings(), catalogue(faultless))
    for fragment in ("version v2", "settles by twap60", "tick 0.01", "fee rate 0.07"):
        assert fragment in market.what
    assert "$1.00" in size.what
    assert (stream.area, stream.status) == ("market stream", Status.OK)


@pytest.mark.parametrize(
    ("gamma", "area", "fragment"),
    [
        ((500, {}), "catalogue", "HTTPStatusError"),
        ((200, b"<html>"), "catalogue", "DecodeError"),
        ((200, b'[{"slug": "\xff"}]'), "catalogue", "UnicodeDecodeError"),
        ((200, []), "catalogue", "has no market btc-updown-15m-"),
    ],
)
def test_a_catalogue_that_is_of_no_use(gamma, area, fragment, faultless):
    """Down, something else than JSON, or without the running market."""
    with CannedServer() as server:
        server.answers["GET", "/markets"] = gamma
        where = network_checks.CatalogueEndpoints(server.url, faultless.ws_url, MarketClock())
        found = only(network_checks.markets(Settings(), where))
    assert (found.area, found.status) == (area, Status.FAIL)
    assert fragment in found.what


@pytest.mark.parametrize("number", [0, 1])
def test_a_market_of_a_new_kind_is_named(faultless, number):
    """A market that the bot would skip is reported before the start, and the other one is traded."""
    where = catalogue(faultless)
    slug = faultless.get("/practice/info")["current"]
    start = int(slug.rpartition("-")[2])
    listed = faultless.get("/gamma/markets", slug=slug) + faultless.get(
        "/gamma/markets", slug=f"btc-updown-15m-{start + 900}"
    )
    listed[number] |= {"version": "v3", "orderMinSize": 77}
    with CannedServer() as server:
        server.answers["GET", "/markets"] = (200, listed)
        other = network_checks.CatalogueEndpoints(server.url, where.ws, where.clock)
        found, traded, size, *_ = network_checks.markets(Settings(), other)
        assert versions(network_checks.listed_markets(Settings(), other)) == {[V2, V1][number]}
        listed[1 - number]["version"] = None
        failures = list(network_checks.markets(Settings(), other))
        assert network_checks.listed_markets(Settings(), other) == []
    assert (found.status, traded.status) == (Status.WARN, Status.OK)
    assert "77 shares" not in size.what
    assert f"market {listed[number]['slug']} is of protocol version v3, only v1 and v2" in found.what
    assert f"{listed[1 - number]['slug']}: version {['v2', 'v1'][number]}, settles" in traded.what
    assert [(f.area, f.status) for f in failures] == [("market", Status.FAIL)] * 2
    assert "of protocol version (none stated)" in failures[1 - number].what


def versions(markets: Iterable[Market]) -> set[ProtocolVersion]:
    return {one.version for one in markets}


def both(rate: str = "0.07") -> list[Market]:
    """A market of each version, with this fee rate."""
    return [market(1, fee_rate=Decimal(rate)), v2_market(2)]


def account_of(
    venue: VenueProcess, key: str, live_path: bool = True, markets: Sequence[Market] | None = None, **given
) -> list[Finding]:
    settings = Settings(polymarket_pk=SecretStr(key), **given)
    listed = both() if markets is None else markets
    check = AccountCheck(
        settings,
        practice_urls(venue.url),
        key,
        operators=True,
        live_path=live_path,
        markets=lambda: listed,
    )
    return run_check("account", check.run)


def test_the_fee_is_that_of_the_listed_markets(faultless, key):
    """The highest rate of the running and the next market, from the catalogue and from no constant."""
    put(faultless, key, balance="20")
    for markets, text in [
        (both(), "an order of $1.00 takes $1.07 with the highest fee"),
        (both("0.25"), "an order of $1.00 takes $1.25 with the highest fee"),
        ([], "an order of $1.00 takes its fee in addition, which no market states now"),
    ]:
        (found,) = [one for one in account_of(faultless, key, markets=markets) if one.area == "balance"]
        assert found.what == f"$20; {text}"


def new_key() -> str:
    return "0x" + bytes(Account.create().key).hex()


@pytest.fixture
def key():
    """A key made for the test; the lock file of its wallet is removed afterwards."""
    made = new_key()
    yield made
    wallet_lock(Account.from_key(made).address).unlink(missing_ok=True)


def put(venue: VenueProcess, key: str, **fields) -> str:
    address = Account.from_key(key).address
    answer = httpx.post(f"{venue.url}/practice/accounts", json={"address": address, **fields})
    answer.raise_for_status()
    return address


def test_an_account_that_may_trade(faultless, key):
    """Key, type, money, allowance, lock and redemption are all right, and each is a line."""
    address = put(faultless, key, balance="20")
    found = account_of(faultless, key)
    assert {finding.status for finding in found} == {Status.OK}
    assert [f.area for f in found] == [
        "credentials", "signature type", "balance", "allowance", "wallet", "open orders", "redemption",
    ]  # fmt: skip
    assert address in found[0].what
    assert found[2].what.startswith("$20; an order of $1.00 takes $1.07")


@pytest.mark.parametrize(
    ("account", "given", "area", "fragment"),
    [
        ({"balance": "1.06"}, {}, "balance", "$1.06, but an order of $1.00 takes $1.07"),
        ({"allowance": "1"}, {}, "allowance", "the allowance of CTF Exchange V2 (0xE1111800"),
        ({"closed_only": True}, {}, "account", "may only close positions"),
        ({"balance": "0"}, {}, "account", "no wallet of the key"),
        (
            {"signature_type": 3},
            {"polymarket_signature_type": 2, "polymarket_funder": "its safe"},
            "signature type",
            "no funds, but there are funds with signature type 3 (deposit wallet): $1000",
        ),
        (
            {},
            {"polymarket_api_key": SecretStr("00000000-0000-0000-0000-000000000000"),
             "polymarket_api_secret": SecretStr("c2VjcmV0"), "polymarket_passphrase": SecretStr("wrong")},
            "account",
            "Unset POLYMARKET_API_KEY",
        ),
    ],
)  # fmt: skip
def test_an_account_that_may_not_trade(account, given, area, fragment, faultless, key):
    """Each problem of an account is one failure with its own text."""
    put(faultless, key, **account)
    if given.get("polymarket_funder") == "its safe":
        given = {**given, "polymarket_funder": wallets_of(Account.from_key(key).address)[2][0]}
    failures = [finding for finding in account_of(faultless, key, **given) if finding.status is Status.FAIL]
    assert area in {finding.area for finding in failures}
    assert any(fragment in finding.what for finding in failures)
    assert all(finding.todo for finding in failures)


@pytest.mark.parametrize(
    ("allowances", "listed", "found"),
    [
        ({EXCHANGE_V3: "0"}, {V1, V2}, {EXCHANGE_V3: Status.WARN}),
        ({EXCHANGE_V3: "0"}, {V1}, {EXCHANGE_V3: Status.WARN}),
        ({EXCHANGE_V3: "0"}, {V2}, {EXCHANGE_V3: Status.FAIL}),
        ({CTF_EXCHANGE: "1.06"}, {V1}, {CTF_EXCHANGE: Status.FAIL}),
        ({CTF_EXCHANGE: "1.06"}, {V2}, {CTF_EXCHANGE: Status.WARN}),
        (
            {EXCHANGE_V3: "0", CTF_EXCHANGE: "0"},
            set(),
            dict.fromkeys((EXCHANGE_V3, CTF_EXCHANGE), Status.FAIL),
        ),
    ],
)
def test_an_exchange_without_an_allowance_is_named(allowances, listed, found, faultless, key):
    """A failure if no listed market can be traded, otherwise a warning; with contract, amount and effect."""
    put(faultless, key, allowances=allowances)
    settings = Settings(polymarket_pk=SecretStr(key))
    check = AccountCheck(
        settings,
        practice_urls(faultless.url),
        key,
        operators=True,
        live_path=False,
        markets=lambda: [one for one in both() if not listed or one.version in listed],
    )
    findings = [finding for finding in run_check("account", check.run) if finding.area == "allowance"]
    named = {address: f.status for f in findings for address in allowances if address in f.what}
    assert named == found
    assert len(findings) == len(found)
    for finding in findings:
        version = "v2" if EXCHANGE_V3 in finding.what else "v1"
        assert f"orders in markets of version {version} are refused" in finding.what
        assert finding.todo.startswith("Approve trading once")


def test_money_in_another_kind_of_wallet_is_found(faultless, key):
    """Unset, the type is determined; orders are then made for the funder."""
    put(faultless, key, signature_type=2)
    safe = wallets_of(Account.from_key(key).address)[2][0]
    settings = Settings(polymarket_pk=SecretStr(key), polymarket_funder=safe)
    check = AccountCheck(settings, practice_urls(faultless.url), key, operators=True, live_path=True)
    found = run_check("account", check.run)
    assert check.wallet == LiveWallet(Account.from_key(key).address, safe, 2)
    assert check.balance == 1000
    (redemption,) = [finding for finding in found if finding.area == "redemption"]
    assert redemption.status is Status.WARN
    assert "RELAYER_API_KEY" in redemption.what


def test_a_wallet_that_another_bot_holds(faultless, key):
    """The process that trades with it is named."""
    address = put(faultless, key)
    with hold_wallet(address):
        (found,) = [one for one in account_of(faultless, key) if one.area == "wallet"]
    assert found.status is Status.FAIL
    assert f"process {os.getpid()}" in found.what


def test_orders_of_another_program_are_noticed(faultless, key):
    """A resting order that the bot's ledger does not have is a failure with its id; its own is none."""
    address = put(faultless, key)
    order_id = leave_resting_order(faultless.url, key)
    (found,) = [one for one in account_of(faultless, key) if one.area == "open orders"]
    assert found.status is Status.FAIL
    assert f"{address} has 1 open order that this bot did not send, such as {order_id}" in found.what
    settings = Settings(polymarket_pk=SecretStr(key))
    check = AccountCheck(
        settings, practice_urls(faultless.url), key, operators=True, live_path=True, own_orders=set
    )
    (found,) = [one for one in run_check("account", check.run) if one.area == "open orders"]
    assert found.status is Status.OK


# --- the command ----------------------------------------------------------------------------------


def found_on(screen: str, status: Status) -> list[str]:
    """The areas with a status on the screen."""
    return re.findall(rf"^{status}\s+(.+?)  ", screen, re.MULTILINE)


def as_polymarket(venue: VenueProcess) -> dict[str, str]:
    """The settings with which this venue is Polymarket."""
    feeds = {f"{name.upper()}_URL": url for name, url in venue.ready["source"]["external"].items()}
    urls = practice_urls(venue.url)
    return feeds | {
        "CLOB_URL": urls.clob,
        "GAMMA_URL": urls.gamma,
        "DATA_API_URL": urls.data_api,
        "WS_URL": urls.ws,
        "GEOBLOCK_URL": f"{venue.url}/api/geoblock",
        "GRAFANA_PORT": "0",
    }


@pytest.mark.slow
def test_with_nothing_set_up_for_live_the_missing_settings_are_named(tmp_path):
    """With everything else right, the only failure is the key, with where to set it; exit 1."""
    with (
        VenueProcess.start("--source", "synthetic", "--real-time") as polymarket,
        BotProcess(tmp_path, "--live", "--doctor", settings=as_polymarket(polymarket)) as bot,
    ):
        assert bot.wait(60) == 1
    assert found_on(bot.output, Status.FAIL) == ["credentials"]
    assert "POLYMARKET_PK is not set  → Put the private key of the signing wallet into .env" in bot.output
    assert found_on(bot.output, Status.WARN) == ["arming"]
    assert bot.output.splitlines()[-1].endswith("1 warning, 1 failure")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--test-mode",), ("--test-mode", "--live", "--venue", "synthetic")])
def test_in_test_mode_all_is_well(arguments, tmp_path):
    """Without any setup: the practice venue is started, queried with a practice wallet, and stopped."""
    with BotProcess(tmp_path, *arguments, "--doctor", settings={"GRAFANA_PORT": "0"}) as bot:
        assert bot.wait(60) == 0
    assert found_on(bot.output, Status.FAIL) == []
    assert {"practice venue", "order API", "market", "credentials", "balance"} <= set(
        found_on(bot.output, Status.OK)
    )
    assert not (tmp_path / "state" / "mode.json").exists()  # reading is not switching


def test_another_running_bot_is_named(tmp_path, monkeypatch, capfd):
    """The state folder is locked: the process is named, all local checks still run, exit 1."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    monkeypatch.setenv("NAUTILUS_LOG_DIR", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "")
    with hold_state(tmp_path):
        assert runner.main(["--test-mode", "--doctor"]) == 1
    screen = capfd.readouterr().out
    assert found_on(screen, Status.FAIL) == ["state folder"]
    assert f"another bot (process {os.getpid()}) runs on the state folder" in screen
    assert "practice venue" in found_on(screen, Status.WARN)  # it is the other bot's
    assert {"patches", "ledger", "mode store"} <= set(found_on(screen, Status.OK))
