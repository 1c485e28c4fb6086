"""A thousand decisions on moving books: every one fills at or below its limit, or ends as a clean no-fill."""

import subprocess
import sys

import pytest
from bot_process import ROOT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_orders_keep_every_promise():
    """No stuck order, no trade above its limit or the ceiling, and the ledger equals the venue to a
    millionth."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/thousand_orders.py"), "--skip-stock", "--orders", "1000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "filled at or below the cap" in ran.stdout
