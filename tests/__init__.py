"""Tests, and the programs beside them: `python -m tests.kills`, `python -m tests.mutants`.

A package with this file, so that `tests` is this folder and not what a dependency installs under the name.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
