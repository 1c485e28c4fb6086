"""Sends heartbeats to the supervisor through an inherited pipe."""

import os
from contextlib import suppress


class Heartbeat:
    """Sends one byte per heartbeat.

    Parameters
    ----------
    descriptor : int or None
        The writing end of the pipe; None without a supervisor.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def heartbeat(self) -> None:
        """Send one; never waits. A full pipe holds enough heartbeats, and a closed one has no reader."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, b".")
