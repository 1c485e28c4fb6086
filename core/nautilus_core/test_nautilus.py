"""The tests of the Nautilus plumbing: `python core/nautilus_core/test_nautilus.py [pytest arguments]`."""

import os
import sys

if __name__ == "__main__":
    # Instead of this folder, whose modules could hide those of the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from bootstrap import run_tests

    run_tests("core/nautilus_core/test_nautilus.py", "tests/core/nautilus_core")
