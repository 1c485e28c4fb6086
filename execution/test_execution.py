"""The tests of orders, risk and ledger: `python execution/test_execution.py [pytest arguments]`."""

import os
import sys

if __name__ == "__main__":
    # Instead of this folder, whose modules could hide those of the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from bootstrap import run_tests

    run_tests("execution/test_execution.py", "tests/execution")
