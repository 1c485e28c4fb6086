"""Put on PYTHONPATH by a test: records in the worker which functions of the walk the first order passes.

WALK_FUNCTIONS names them, as ``file:qualified name`` separated by spaces; WALK_REPORT is the file to write.
The first name starts a walk, the last one ends it.
"""

import os
import sys
from pathlib import Path

if "runtime.worker" in sys.orig_argv:
    ROOT = f"{Path(__file__).resolve().parents[2]}{os.sep}"
    FUNCTIONS = os.environ["WALK_FUNCTIONS"].split(" ")
    NAMES = set(FUNCTIONS)
    REPORT = Path(os.environ["WALK_REPORT"])
    TOOL = sys.monitoring.PROFILER_ID
    passed: list[str] = []

    def on_start(code, offset):
        """Record a call; a function that is not in the walk reports no further calls."""
        name = f"{code.co_filename.removeprefix(ROOT)}:{code.co_qualname}"
        if name not in NAMES:
            return sys.monitoring.DISABLE
        passed.append(name)
        if name == FUNCTIONS[-1] and FUNCTIONS[-2] in passed and not REPORT.exists():
            REPORT.write_text("\n".join(passed))
        return None

    sys.monitoring.use_tool_id(TOOL, "walk")
    sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_START, on_start)
    sys.monitoring.set_events(TOOL, sys.monitoring.events.PY_START)
