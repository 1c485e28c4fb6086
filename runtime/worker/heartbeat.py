"""Sends heartbeats to the supervisor, through a pipe that the worker inherits."""

import os
from contextlib import suppress


class Heartbeat:
    """One byte a beat.

    Parameters
    ----------
    descriptor : int or None
        The pipe's writing end; None if no supervisor listens.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def heartbeat(self) -> None:
        """Send one; never waits. A full pipe holds enough beats, and a closed one has no reader."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, b".")
