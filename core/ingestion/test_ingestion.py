"""The tests of the data feeds: `python core/ingestion/test_ingestion.py [pytest arguments]`."""

import os
import sys

if __name__ == "__main__":
    # Instead of this folder, whose modules could hide those of the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from bootstrap import run_tests

    run_tests("core/ingestion/test_ingestion.py", "tests/core/ingestion")
