"""Console output that does not raise if it cannot be encoded or its reader is gone."""

import io
import os
import sys
from typing import TextIO

from rich.console import Console


class TolerantConsole(Console):
    """A console for the standard output that survives a closed pipe.

    When the reader of a pipe ends, such as `tee` in ``python runner.py | tee log``, rich's own console raises
    SystemExit in the code that prints next. This one discards the output from then on.
    """

    def on_broken_pipe(self) -> None:
        """Redirect the standard output to the null device; called by rich."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def replace_unencodable(stream: TextIO | None) -> None:
    """Print ``?`` for every character that the encoding of `stream` does not have.

    A console that is not UTF-8 cannot show arrows or box lines; without this, printing one raises
    UnicodeEncodeError. A stream without an encoding, such as a test's buffer, is not changed.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
