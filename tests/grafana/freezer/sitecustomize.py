"""Put on PYTHONPATH by tests: SIGUSR2 keeps a worker's main thread busy, as a blocking call would do it."""

import os
import signal
import sys
import time

if "runtime.worker" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(float(os.environ["FREEZE_SECONDS"])))
