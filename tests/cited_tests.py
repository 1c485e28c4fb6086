"""Tests that a document names: `file.py::function`, or `::function` for one of the file named before it."""

import re

from bot_process import ROOT

CITED = re.compile(r"`([\w/]*\.py)?::(\w+)`")


def missing(text: str) -> list[str]:
    """The tests named in a text that do not exist."""
    file, absent = "", []
    for named, function in CITED.findall(text):
        file = named or file
        if f"def {function}(" not in (ROOT / "tests" / file).read_text(encoding="utf-8"):
            absent.append(f"{file}::{function}")
    return absent
