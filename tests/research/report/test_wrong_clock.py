"""A clock that differs from the venue by minutes: market seconds would be wrong, and nothing is decided."""

import sqlite3
from contextlib import closing

import pytest
from nautilus_trader.model.data import QuoteTick
from planted_markets import planted_markets

from config import Settings
from research.backtest import market_data
from research.backtest.engine import run

S = 10**9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'d' is deprecated")  # pandas, at a call of nautilus_trader
@pytest.mark.parametrize(("ahead_s", "bought"), [(0, 1), (299, 1), (301, 0), (-301, 0), (3600, 0)])
def test_quotes_of_another_time_start_no_decision(tmp_path, monkeypatch, ahead_s, bought):
    """The same market is bought while the quotes are less than five minutes from this machine's
    time; otherwise the end of its window is recorded with the difference.
    """
    quote = market_data._TokenStream._quote

    def shifted(stream, top, ts_ns):
        right = quote(stream, top, ts_ns)
        prices = right.bid_price, right.ask_price, right.bid_size, right.ask_size
        return QuoteTick(right.instrument_id, *prices, ts_ns - ahead_s * S, ts_ns)

    monkeypatch.setattr(market_data._TokenStream, "_quote", shifted)
    run(planted_markets(1, 0.0, seed=4), Settings(), tmp_path / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
        assert database.execute("SELECT count(*) FROM fills").fetchall() == [(bought,)]
        decisions = database.execute("SELECT second, reason, detail FROM decisions").fetchall()
    if not bought:
        detail = f"this machine's clock is {ahead_s} s ahead of the quotes"
        assert decisions == [(840.0, "stale_data", detail)]
