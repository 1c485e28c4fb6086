"""A backtest of one market, from every format with whole books."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from recording_writers import write_catalog, write_frames, write_json_lines

from config import Settings
from research.backtest.sharded import run_listed
from research.recordings import BUNDLED, ListedMarket, list_markets

STATEMENTS = (
    "SELECT slug, second, outcome, reason, detail, p, ask, score, confidence FROM decisions ORDER BY id",
    "SELECT slug, outcome, shares, price, fee FROM fills ORDER BY price",
    "SELECT ledger_cash, venue_cash, difference FROM cash_checks",
)


def played(listed: list[ListedMarket], ledger: Path) -> list:
    settings = Settings(require_signal_agreement=False, fusion_min_score=0.0, fusion_min_weight=0.0)
    run_listed(listed, settings, ledger)
    with closing(sqlite3.connect(ledger)) as database:
        return [database.execute(statement).fetchall() for statement in STATEMENTS]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'d' is deprecated")
def test_every_format_gives_the_same_decisions_and_fills(tmp_path):
    """Raw messages, our own recording and a Nautilus catalog of a bundled market that is bought."""
    bundled = list_markets(BUNDLED)[3]
    market = bundled.read()
    expected = played([bundled], tmp_path / "bundled.db")
    assert len(expected[1]) == 1
    write_json_lines(market, tmp_path / "lines")
    write_frames(market, tmp_path / "frames")
    write_catalog(market, tmp_path / "catalog")
    for name in ("lines", "frames", "catalog"):
        assert played(list_markets(tmp_path / name), tmp_path / f"{name}.db") == expected, name
