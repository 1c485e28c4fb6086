"""A thousand decisions on moving books: every one fills at or below its cap, or ends as a clean no-fill."""

import subprocess
import sys

import pytest
from bot_process import ROOT


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_orders_keep_every_promise():
    """Nothing stuck, nothing above its cap or the ceiling, and the ledger is the venue's to a millionth."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/thousand_orders.py"), "--skip-stock", "--orders", "1000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "filled at or below the cap" in ran.stdout
