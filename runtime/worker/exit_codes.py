"""The exit code for a worker that cannot start, which determines what the supervisor does next."""

import errno
import os
import sqlite3

from common.constants import ExitCode
from errors import BotError, ConfigError, Fatal, Temporary
from execution.ledger import LedgerLocked

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITTEN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""SQLite names a full disk and the limit for the size of a file differently."""
SPARE_DESCRIPTORS = 32
"""More than one step of a worker's start opens."""


def exit_of(error: BotError | OSError) -> ExitCode:
    """The exit code for a worker that cannot start; it determines what the supervisor does next."""
    if isinstance(error, Temporary | LedgerLocked) or _out_of_space(error) or _out_of_descriptors():
        return ExitCode.UNAVAILABLE
    if isinstance(error, ConfigError):
        return ExitCode.MISCONFIGURED
    return ExitCode.FATAL if isinstance(error, Fatal) else ExitCode.CRASHED


def _out_of_space(error: BaseException | None) -> bool:
    """Whether a file could not be written because the disk is full, or a limit for files is reached."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in NOT_WRITTEN
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    return error is not None and _out_of_space(error.__cause__)


def _out_of_descriptors() -> bool:
    """Whether almost no file can be opened, so that an error about one file is not specific to that file."""
    opened: list[int] = []
    try:
        # The failed step has closed what it had opened.
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(SPARE_DESCRIPTORS))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False
