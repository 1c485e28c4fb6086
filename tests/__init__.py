"""Tests, and the programs beside them: `python -m tests.kills`, `python -m tests.mutants`.

A package with this file, so that `tests` is this folder and not a package of that name of a dependency.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
