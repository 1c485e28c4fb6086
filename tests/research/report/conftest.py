"""Lets the tests of this folder import its builders, and the brain's, in every import mode of pytest."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "core" / "strategy_brain")]
