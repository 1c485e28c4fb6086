"""Console output that neither controls the terminal nor raises if it cannot be encoded or its reader is gone.

Texts of the venue and of other services are escaped where they are received; control characters that remain
are replaced here.
"""

import io
import os
from codecs import getincrementaldecoder
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from common.plain_text import without_controls

RELAYED_BYTES = 65536
STDERR = 2
"""Descriptor of the standard error."""


class PlainConsole(Console):
    """A console without control sequences other than rich's own styles and cursor moves."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of `renderable` without the control characters of its texts."""
        for segment in super().render(renderable, options):
            if segment.control is None:
                yield Segment(without_controls(segment.text), segment.style)
            else:
                yield segment


class TolerantConsole(PlainConsole):
    """A console that survives an output that cannot be written: a closed pipe, or a file on a full disk.

    When the reader of a pipe ends, such as `tee` in ``python runner.py | tee log``, rich's own console raises
    SystemExit in the code that prints next. This one discards the output from then on.
    """

    def on_broken_pipe(self) -> None:
        """Redirect the output to the null device; called by rich."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.file.fileno())
        os.close(null)

    def _check_buffer(self) -> None:
        # Rich calls `on_broken_pipe` for a closed pipe only.
        try:
            super()._check_buffer()
        except OSError:
            self.on_broken_pipe()


def replace_unencodable(stream: TextIO | None) -> None:
    """Print ``?`` for every character that the encoding of `stream` does not have.

    A console that is not UTF-8 cannot show arrows or box lines; without this, printing one raises
    UnicodeEncodeError. A stream without an encoding, such as a test's buffer, is not changed.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def print_error(text: object) -> None:
    """Print a red line to the standard error; without color if no descriptor is left."""
    line = f"error: {text}"
    try:
        console = TolerantConsole(stderr=True, soft_wrap=True, emoji=False)
        console.print(line, style="red", markup=False, highlight=False)
    except OSError:
        # Rich imports modules when it prints its first line.
        with suppress(OSError):
            os.write(STDERR, f"{without_controls(line)}\n".encode(errors="replace"))


def relay_plain(source: int, sink: int) -> None:
    """Copy text from one descriptor to another until it ends, without its control characters.

    Once the reader of `sink` is gone, the rest is discarded.
    """
    decoder = getincrementaldecoder("utf-8")("replace")
    while chunk := os.read(source, RELAYED_BYTES):
        rest = memoryview(without_controls(decoder.decode(chunk)).encode())
        with suppress(OSError):
            while rest:
                rest = rest[os.write(sink, rest) :]
