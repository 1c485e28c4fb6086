"""The weights in use and the ledger's history of them: equal, whatever changed them."""

import asyncio

import pytest
from ledger_builders import buy, open_ledger, settlement

from config import Settings
from core.strategy_brain.fusion_engine import get_fusion_engine, reset_fusion_engine
from execution.ledger import LedgerReader
from execution.ledger_thread import LedgerThread
from feedback import reset_learning_engine
from models import Outcome
from runtime.worker.weight_learning import SeriesLearning, WeightLearning

SETTLED = range(10, 70)
"""Markets settled against the vote, so that the weights change."""


@pytest.fixture
def folder(tmp_path):
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in SETTLED:
            buy(ledger, number)
            ledger.record_settlement(settlement(number, Outcome.DOWN))
    return tmp_path


def learn(folder, *, reset=False, **changes):
    """The start of a process; returns the weights in use and the last ones in the ledger."""
    settings = Settings(learning_trigger_interval=1, learning_min_trades=1, learning_rate=1.0, **changes)
    reset_learning_engine()
    reset_fusion_engine()

    async def started():
        failures = []
        thread = LedgerThread(failures.append)
        ledger = await thread.call(open_ledger, folder / "ledger.sqlite")
        reader = await thread.call(LedgerReader, folder / "ledger.sqlite")
        await WeightLearning(settings, folder, reset, ledger, reader, thread).learn()
        rows = await thread.call(reader.weights)
        for closing in (reader.close, ledger.close):
            await thread.call(closing)
        thread.close()
        assert failures == []
        return rows

    rows = asyncio.run(started())
    weights = get_fusion_engine().weights
    reset_learning_engine()
    reset_fusion_engine()
    return weights, {row.source: row.after for row in rows}, len(rows)


def test_what_is_learnt_is_written_once(folder):
    """A second process that learns nothing new adds no step."""
    weights, written, steps = learn(folder)

    assert weights["TickVelocity"] < 0.25
    assert written == pytest.approx(weights)
    assert learn(folder) == (weights, written, steps)


@pytest.mark.parametrize("change", [{"reset": True}, {"learning_enabled": False}])
def test_a_way_back_is_a_step(folder, change):
    """After a reset, or with learning off, the history ends with the configured weights, written once."""
    learned, _, steps = learn(folder)
    weights, written, more = learn(folder, **change)

    assert weights["TickVelocity"] == 0.25 != learned["TickVelocity"]
    assert written == pytest.approx(weights)
    assert more == steps + 6
    assert learn(folder, **({} if "reset" in change else change))[2] == more


def test_each_series_learns_from_its_own_markets(folder):
    """A series without settled markets keeps its weights; files and rows are those of the series."""
    settings = Settings(
        learning_trigger_interval=1, learning_min_trades=1, learning_rate=1.0, market_asset="btc,eth"
    )
    reset_fusion_engine()

    async def started():
        thread = LedgerThread(lambda error: pytest.fail(repr(error)))
        ledger = await thread.call(open_ledger, folder / "ledger.sqlite")
        reader = await thread.call(LedgerReader, folder / "ledger.sqlite")
        of_all = SeriesLearning(
            [
                WeightLearning(settings.of_series(one), folder, False, ledger, reader, thread, several=True)
                for one in settings.series
            ]
        )
        await of_all.learn(settings.series[1])
        unchanged = get_fusion_engine(series="btc-15m").weights
        await of_all.learn()
        rows = await thread.call(reader.weights)
        for closing in (reader.close, ledger.close):
            await thread.call(closing)
        thread.close()
        return unchanged, rows

    unchanged, rows = asyncio.run(started())
    btc, eth = (get_fusion_engine(series=name).weights for name in ("btc-15m", "eth-15m"))
    reset_fusion_engine()
    assert unchanged["TickVelocity"] == eth["TickVelocity"] == 0.25 > btc["TickVelocity"]
    assert {row.series for row in rows} == {"btc-15m"}
    assert (folder / "learning_state.btc-15m.json").is_file()
    assert not (folder / "learning_state.json").exists()
    # Afterwards one series alone: it learns the same, and keeps a state of its own.
    assert learn(folder)[0] == pytest.approx(btc)
    assert (folder / "learning_state.json").is_file()
