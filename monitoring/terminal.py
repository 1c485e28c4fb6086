"""Makes a text stream show a replacement for what its encoding lacks, instead of raising."""

import io
from typing import TextIO


def replace_unencodable(stream: TextIO | None) -> None:
    """Show ``?`` for every character that the encoding of `stream` cannot express.

    A console that is not UTF-8 cannot show arrows or box lines; without this, printing one raises
    UnicodeEncodeError. A stream that is not encoded here, such as a test's buffer, stays as it is.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
