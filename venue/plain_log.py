"""Log lines without control characters, because they contain texts of a mirrored venue."""

import logging
import re

CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
"""C0 and C1 controls but line feed and tab, bidirectional and zero-width characters, lone surrogates."""


class PlainFormatter(logging.Formatter):
    """Formats a record, including its traceback, with U+FFFD in place of each control character."""

    def format(self, record: logging.LogRecord) -> str:
        return CONTROL.sub("\ufffd", super().format(record))
