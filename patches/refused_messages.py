"""Counts refused messages of a stream, and logs them at most once a minute, with one example."""

import time
from collections.abc import Callable

from loguru import logger

from common.plain_text import one_line

PERIOD_S = 60.0
EXAMPLE_CHARACTERS = 300


class RefusedMessages:
    """The refused messages of one stream.

    Parameters
    ----------
    stream : str
        Its name, for the log.
    monotonic : Callable[[], float]
        A monotonic clock in seconds.
    period_s : float
        Minimum seconds between two log records.
    """

    def __init__(
        self, stream: str, monotonic: Callable[[], float] = time.monotonic, period_s: float = PERIOD_S
    ) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._period_s = period_s
        self._logged = 0
        self._logged_at: float | None = None
        self._example: tuple[object, bytes] = ("", b"")
        self.count = 0
        """Messages refused since the start."""

    def add(self, why: object, raw: bytes) -> None:
        """Count one message; it is the example of the next log record."""
        self.count += 1
        # A frame may have megabytes: only the part that is logged is stored.
        self._example = why, raw[: 4 * EXAMPLE_CHARACTERS]
        self.log_if_due()

    def log_if_due(self) -> None:
        """Log the messages refused since the last record, unless that record is newer than the period."""
        now = self._monotonic()
        if self._logged_at is None or now - self._logged_at >= self._period_s:
            self.log()

    def log(self) -> None:
        """Log the messages refused since the last record, if any."""
        new = self.count - self._logged
        if not new:
            return
        why, raw = self._example
        shown = one_line(why, EXAMPLE_CHARACTERS), one_line(raw.decode(errors="replace"), EXAMPLE_CHARACTERS)
        logger.warning(
            f"{self._stream}: {new} messages refused ({self.count} in all), e.g. {shown[0]}, in {shown[1]}"
        )
        self._logged, self._logged_at = self.count, self._monotonic()
