"""Reads the plan of a worker from its standard input, and ends the process when the input ends.

The supervisor holds the other end, so a worker does not outlive it, not even one that still imports its
modules. Standard library only: the pipe is read from the first instant on.
"""

import os
import signal
import threading
from typing import BinaryIO


class PlanPipe:
    """A thread that reads the plan, one line, and then waits for the end of the input.

    Parameters
    ----------
    stream : BinaryIO
        The standard input, as bytes: the plan is UTF-8 whatever the console's encoding is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._line = b""
        self._received = threading.Event()
        threading.Thread(target=self._read, name="parent-watch", daemon=True).start()

    def line(self) -> bytes:
        """Wait for the plan: the supervisor may start a worker before it has one."""
        self._received.wait()
        return self._line

    def _read(self) -> None:
        self._line = self._stream.readline()
        if not self._line:
            os._exit(0)  # without a plan nothing has begun
        self._received.set()
        while self._stream.readline():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
