"""Output that cannot be shown or read by anyone does not raise in the process that prints it."""

import io
import os
import sys
from typing import TextIO

from rich.console import Console


class TolerantConsole(Console):
    """A console of the standard output that the process outlives.

    When the reader of a pipe goes away, as `tee` in ``python runner.py | tee log``, rich's own console raises
    SystemExit in whatever code prints next. This one discards what is printed from then on.
    """

    def on_broken_pipe(self) -> None:
        """Send the standard output to the null device; called by rich."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def replace_unencodable(stream: TextIO | None) -> None:
    """Show ``?`` for every character that the encoding of `stream` cannot express.

    A console that is not UTF-8 cannot show arrows or box lines; without this, printing one raises
    UnicodeEncodeError. A stream that is not encoded here, such as a test's buffer, stays as it is.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
