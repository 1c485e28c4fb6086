"""The log file of a worker, written by a thread of its own."""

import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path

from loguru import logger

from common.plain_text import without_controls

LOG_BYTES, LOG_FILES = 10_000_000, 5


@contextmanager
def log_to_file(folder: Path) -> Iterator[None]:
    """Send loguru's records to `folder`/bot.log only; the console is drawn by rich.

    A thread writes the file, so that no event loop waits for the disk; the end of the context waits for the
    last record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    file = _LogFile(folder / "bot.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    file.setFormatter(_PlainFormatter())
    listener = QueueListener(records, file)
    listener.start()
    logger.remove()
    logger.add(
        QueueHandler(records),
        backtrace=False,
        diagnose=False,  # it would print the values of variables, including keys
        format="{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z {level: <7} {message}",
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    try:
        yield
    finally:
        listener.stop()


class _LogFile(RotatingFileHandler):
    """The file; a record that cannot be written is left out."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: the standard library would print a traceback on the terminal for each record."""


class _PlainFormatter(logging.Formatter):
    """A record as loguru formats it, tracebacks included, without control characters but its line ends."""

    def format(self, record: logging.LogRecord) -> str:
        return without_controls(super().format(record))


class _ToLoguru(logging.Handler):
    """Redirects the records of the standard logging module to the same file."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.log(record.levelname, f"{record.name}: {record.getMessage()}")
