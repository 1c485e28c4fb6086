"""Put on PYTHONPATH by tests: on SIGUSR2 a worker's main thread is busy for a while, as by a blocking call."""

import os
import signal
import sys
import time

if "worker" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(float(os.environ["FREEZE_SECONDS"])))
