"""Winners and folds of results that are known, their tables, and the folder that keeps results."""

import csv
import io
import json
import random
from decimal import Decimal
from functools import cache

import pytest
from rich.console import Console

from config import Settings
from errors import Fatal
from models import Outcome
from research.sweep.grid import grid
from research.sweep.results import Engine, MarketSummary, PointResult, ResultFolder, point_key
from research.sweep.table import Sweep, as_csv, as_json, show
from research.sweep.winners import check_folds, totals, winners

SHARE = Decimal(1)


def bought(number, pnl):
    """One share for 90 cents in a market that ends with this P&L; nothing if it is None."""
    found = MarketSummary(slug=f"m{number}", start=number)
    if pnl is None:
        return found
    values = {"side": Outcome.UP, "shares": SHARE, "cost": Decimal("0.9"), "pnl": Decimal(str(pnl))}
    return MarketSummary(slug=f"m{number}", start=number, **values)


def point(settings, pnls):
    markets = tuple(bought(number, pnl) for number, pnl in enumerate(pnls))
    return PointResult(settings=settings, recordings="r", code="c", engine=Engine.BACKTEST, markets=markets)


GOOD_AT_FIRST = [0.1, 0.2, 0.1, 0.2, -0.9, -0.9, -0.9, None]
GOOD_LATER = [-0.9, None, None, None, 0.1, 0.2, 0.1, 0.2]
STEADY = [0.1, -0.1, 0.2, 0.1, -0.1, 0.2, 0.1, 0.1]


def test_folds_use_no_market_before_its_time():
    """Three folds of eight markets: the point is chosen on the first 2, 4 and 6, and tested on the next 2."""
    points = [
        point({"A": name}, pnls)
        for name, pnls in zip("123", (GOOD_AT_FIRST, GOOD_LATER, STEADY), strict=True)
    ]
    found = winners(points, [], 3)
    assert [winner.name for winner in found] == ["all", "fold 1", "fold 2", "fold 3"]
    assert [winner.point for winner in found] == [2, 0, 0, 2]
    assert [winner.chosen.markets for winner in found] == [8, 2, 4, 6]
    assert found[0].tested is None
    assert [winner.tested.pnl for winner in found[1:]] == [
        *(Decimal("0.3"), Decimal("-1.8"), Decimal("0.2")),
    ]
    assert {winner.trials for winner in found} == {3}


def test_earlier_trials_count():
    """Other combinations that were tried on the same recordings deflate the winner."""
    generator = random.Random(4)
    points = [point({"A": "1"}, [0.1 * generator.random() - 0.04 for _ in range(30)])]
    others = [
        point({"A": str(number)}, [generator.random() - 0.5 for _ in range(30)]) for number in range(2, 40)
    ]
    alone, among = winners(points, [], 0)[0], winners(points, others, 0)[0]
    assert (alone.trials, among.trials) == (1, 39)
    assert among.deflated < alone.deflated


def test_totals():
    """Sums over the markets that were traded."""
    found = totals(point({}, GOOD_LATER).markets)
    assert (found.markets, found.trades, found.won) == (8, 5, 4)
    assert (found.staked, found.pnl) == (Decimal("4.5"), Decimal("-0.3"))
    assert totals(point({}, [None, None]).markets).needed is None


@pytest.mark.parametrize(("folds", "markets"), [(4, 9), (-1, 100)])
def test_too_many_folds(folds, markets):
    """Each part of the markets needs two of them."""
    with pytest.raises(Fatal, match=f"--folds is {folds}, allowed: 0 to "):
        check_folds(folds, markets)
    check_folds(3, 8)


@cache
def swept():
    """Sixteen points of four settings, of which three have long names."""
    points = grid(
        Settings(),
        [
            "TREND_UP_THRESHOLD=0.65,0.70",
            "ORDERBOOK_IMBALANCE_THRESHOLD=0.25,0.35",
            "REQUIRE_SIGNAL_AGREEMENT=true,false",
            "TRADE_WINDOW_START=780,800",
        ],
    )
    generator = random.Random(2)
    results = [
        point(each.settings, [generator.choice([0.1, 0.1, 0.1, -0.9, None]) for _ in range(12)])
        for each in points.points
    ]
    return Sweep(
        source="bundled",
        grid=points,
        totals=tuple(totals(result.markets) for result in results),
        winners=tuple(winners(results, [], 2)),
        notes=("A note.",),
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits(width):
    """No line is longer than the terminal, and no value is cut off."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(swept(), console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in console.file.getvalue()
    assert "B: ORDERBOOK_IMBALANCE_THRESHOLD" in lines
    header = next(line for line in lines if line.lstrip().startswith("point"))
    assert header.split() == [
        *("point", "A", "B", "C", "D", "trades", "won", "staked", "fees", "P&L", "Sharpe")
    ]
    assert "not distinguishable from chance" in " ".join(lines)


def test_csv_and_json():
    """One row per point in the order of the grid; JSON has the same numbers, and the winners."""
    found = swept()
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [row["TREND_UP_THRESHOLD"] for row in rows] == ["0.65"] * 8 + ["0.70"] * 8
    document = json.loads(as_json(found), parse_float=Decimal)
    assert [each["pnl"] for each in document["points"]] == [Decimal(row["pnl"]) for row in rows]
    best = document["winners"][0]
    assert rows[best["point"] - 1]["best_of"].split(";")[0] == best["name"] == "all"
    assert document["points"][3]["settings"] == {
        "TREND_UP_THRESHOLD": "0.65",
        "ORDERBOOK_IMBALANCE_THRESHOLD": "0.25",
        "REQUIRE_SIGNAL_AGREEMENT": "false",
        "TRADE_WINDOW_START": "800",
    }


def test_a_folder_keeps_results(tmp_path):
    """A result is found by settings, recordings, code and engine; trials are those of the recordings."""
    folder = ResultFolder(tmp_path / "kept")
    result = point({"A": "1"}, STEADY)
    assert folder.load(result.key) is None
    folder.store(result)
    folder.store(point({"A": "2"}, STEADY))
    assert folder.load(point_key({"A": "1"}, "r", "c", Engine.BACKTEST)) == result
    assert folder.load(point_key({"A": "1"}, "r", "d", Engine.BACKTEST)) is None
    assert [trial.settings for trial in folder.trials("r")] == [{"A": "1"}, {"A": "2"}]
    assert folder.trials("other") == []
    (tmp_path / "kept" / f"{result.key}.json").write_text("{}")
    with pytest.raises(Fatal, match=r"is not the result of a point: .*\. Delete it"):
        folder.load(result.key)
