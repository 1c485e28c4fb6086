"""Put on PYTHONPATH by tests: SIGUSR2 blocks a worker's main thread, as a blocking call would do."""

import os
import signal
import sys
import time

if "runtime.worker" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(float(os.environ["FREEZE_SECONDS"])))
