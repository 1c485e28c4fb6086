"""Put on PYTHONPATH by tests: in the worker process, a blocking call on an event loop is an error.

Only the worker is checked; the runner has no event loop, and the practice venue is not part of the product.
"""

import os
import sys
import traceback
from pathlib import Path

if "runtime.worker" in sys.orig_argv:
    from blockbuster import BlockBuster, BlockingError

    report = Path(os.environ["BLOCKING_REPORT"])
    detector = BlockBuster()
    detector.activate()
    original = BlockingError.__init__

    def reported(self: BlockingError, *arguments: object) -> None:
        original(self, *arguments)
        with report.open("a") as file:
            file.write(f"{arguments}\n{''.join(traceback.format_stack()[:-1])}\n")

    BlockingError.__init__ = reported
