"""The configuration of the Nautilus node: what the bot relies on, and where it connects to."""

from decimal import Decimal

import pytest

from core.nautilus_core.data_engine.node import NodePlan, Wallet, execute_at_once, node_config
from core.nautilus_core.data_engine.venue_urls import VenueUrls

BOOKS = VenueUrls(clob="http://books", gamma="http://g", data_api="http://bd", ws="ws://books/ws/")
ORDERS = VenueUrls(clob="http://orders", gamma="http://og", data_api="http://od", ws="ws://orders/ws/")
KEY = "0x" + "1" * 64
WALLET = Wallet(
    private_key=KEY, api_key="id", api_secret="c2VjcmV0", passphrase="pass", funder="0xf", signature_type=2
)


@pytest.fixture
def config(tmp_path):
    return node_config(
        NodePlan(
            trader_id="BOT-001",
            market_urls=BOOKS,
            urls=ORDERS,
            wallet=WALLET,
            max_order_usd=Decimal(1),
            refresh_pause=lambda: 1.0,
            connect_delay_seconds=0.5,
            data_qsize=1000,
            exec_qsize=500,
            log_level="WARNING",
            log_dir=tmp_path / "nautilus",
        )
    )


def test_books_come_from_one_venue_and_orders_go_to_another(config):
    """On paper the books are Polymarket's and the orders the practice venue's: no address is mixed up."""
    data, execution = config.data_clients["POLYMARKET"], config.exec_clients["POLYMARKET"]
    assert (data.base_url_http, data.base_url_ws) == ("http://books", "ws://books/ws/")
    assert (execution.base_url_http, execution.base_url_ws) == ("http://orders", "ws://orders/ws/")
    assert execution.base_url_data_api == "http://od"
    assert (execution.private_key, execution.funder, execution.signature_type) == (KEY, "0xf", 2)


def test_nautilus_invents_no_trade(config):
    """The ledger is the record: no reconciliation, no in-flight check, no instrument from elsewhere."""
    engine = config.exec_engine
    assert (engine.reconciliation, engine.inflight_check_interval_ms) == (False, 0)
    assert engine.allow_overfills is True
    assert config.data_clients["POLYMARKET"].auto_load_missing_instruments is False
    assert config.data_clients["POLYMARKET"].drop_quotes_missing_side is False


def test_nautilus_own_risk_engine_is_in_force(config):
    """It is not bypassed, and denies more than five orders a second."""
    assert config.risk_engine.bypass is False
    assert config.risk_engine.max_order_submit_rate == "5/00:00:01"


def test_an_error_inside_nautilus_ends_the_worker(config):
    """Each engine shuts the node down at an unexpected error, with the sizes of its queues as configured."""
    engines = (config.data_engine, config.exec_engine, config.risk_engine)
    assert [engine.graceful_shutdown_on_exception for engine in engines] == [True] * 3
    assert [engine.qsize for engine in engines] == [1000, 500, 500]


def test_an_error_in_a_command_ends_the_worker_too():
    """Commands pass the engines without their queues: an error of one is handled as that of a queue."""

    class Engine:
        handled = []

        def _execute_command(self, command):
            raise ValueError(command)

        def _handle_queue_exception(self, error, queue):
            self.handled.append((repr(error), queue))

    execute_at_once(Engine())("an order")
    assert Engine.handled == [("ValueError('an order')", "command")]


def test_its_log_is_a_file_of_its_own(config, tmp_path):
    """Nothing on the screen; a file in its folder, which is created, rotated at 20 MB, five kept."""
    log = config.logging
    assert (log.log_level, log.log_level_file, log.log_directory) == (
        "OFF",
        "WARNING",
        str(tmp_path / "nautilus"),
    )
    assert (log.log_file_max_size, log.log_file_max_backup_count) == (20_000_000, 5)
    assert (tmp_path / "nautilus").is_dir()


def test_a_stop_takes_less_than_five_seconds(config):
    """Disconnecting and the time after the stop leave the supervisor time for its own work."""
    assert config.timeout_disconnection + config.timeout_post_stop <= 2.5


def test_no_text_of_a_wallet_shows_its_keys():
    """repr, str, a format and rich's own protocol show the address only."""
    for shown in (repr(WALLET), str(WALLET), f"{WALLET}", str(list(WALLET.__rich_repr__()))):
        assert "0xf" in shown
        assert not any(secret in shown for secret in (KEY, "c2VjcmV0", "pass", "id"))


def test_the_cache_keeps_one_quote_of_an_instrument(config):
    """Four markets an hour have thousands of quotes each, which would add up until the worker restarts."""
    assert (config.cache.tick_capacity, config.cache.bar_capacity) == (1, 1)
