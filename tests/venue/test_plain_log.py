"""Texts of an upstream in the practice venue's log cannot control a terminal."""

import logging
import sys

from venue.plain_log import PlainFormatter


def test_message_and_exception_without_control_characters() -> None:
    """Each becomes one replacement character, in the text and after the traceback; lines and tabs stay."""
    attack = "a\n\tb\x1b[2J\x07\r\x9b5n\u202e"
    try:
        raise ValueError(attack)
    except ValueError:
        record = logging.LogRecord("venue", logging.WARNING, "", 0, "%s", (attack,), sys.exc_info())
    shown = PlainFormatter("%(name)s %(message)s").format(record)
    assert shown.startswith("venue a\n\tb\ufffd[2J\ufffd\ufffd\ufffd5n\ufffd\nTraceback")
    assert shown.endswith("ValueError: a\n\tb\ufffd[2J\ufffd\ufffd\ufffd5n\ufffd")
