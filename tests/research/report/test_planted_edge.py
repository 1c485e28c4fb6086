"""The engine and the report on recordings whose edge is known."""

from decimal import Decimal
from math import sqrt

import pytest
from planted_markets import planted_markets, wins

from config import Settings
from research.backtest.engine import run
from research.report.edge import edge
from research.report.run_reader import read_run
from research.report.sections import conclusion

COUNT = 120
LIMITS = Settings(max_loss_per_day=Decimal(1000), max_drawdown_pct=Decimal(1))
"""No risk limit ends the run."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:'d' is deprecated")  # pandas, at a call of nautilus_trader
@pytest.mark.parametrize("planted", [0.0, 0.03, -0.03])
def test_planted_edge(planted, tmp_path):
    """Every market is bought at 0.80; the report finds the share of the drawn winners minus 0.80, 1.12 points
    less after fees, an interval with the planted edge, and that the sample is too small to tell."""
    markets = planted_markets(COUNT, planted, seed=4)
    run(markets, LIMITS, tmp_path / "ledger.db")
    results = read_run(tmp_path / "ledger.db")
    found = edge(results.trades)

    assert found.numbers.n == found.numbers.markets == COUNT
    assert found.before.mean == pytest.approx(wins(markets) / COUNT - 0.80, abs=1e-6)
    assert found.after.mean == pytest.approx(found.before.mean - 0.0112, abs=1e-5)
    assert abs(found.before.mean - planted) < 2 * sqrt(0.8 * 0.2 / COUNT)
    assert found.before.low < planted < found.before.high
    assert "cannot tell" in conclusion(COUNT, found, results.fill_rate)
