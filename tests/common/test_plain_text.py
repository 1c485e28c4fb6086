"""Display of foreign text: no character of it can control a terminal, and its length is bounded."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.plain_text import one_line, without_controls

ATTACK = "\x1b[2J\x1b]0;title\x07\r\x9b5n\u202eevil"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, with - dashes – and arrows →", "plain text, with - dashes – and arrows →"),
        (ATTACK, r"\x1b[2J\x1b]0;title\x07 \x9b5n\u202eevil"),
        ("a\r\nb\tc\u2028d\x0be", "a b c d e"),
        ("del \x7f c1 \x85 nel \x9b", r"del \x7f c1 nel \x9b"),
        ("lone \ud800 surrogate", r"lone \ud800 surrogate"),
        ("zero\u200bwidth \u2066iso\u2069 tag \U000e0041", r"zero\u200bwidth \u2066iso\u2069 tag \U000e0041"),
        (None, "None"),
        ({"a": "\x1b"}, r"{'a': '\x1b'}"),
    ],
)
def test_a_foreign_value_becomes_one_printable_line(text: object, shown: str) -> None:
    """Controls become their escapes, white space single spaces, and everything else is unchanged."""
    assert one_line(text) == shown


@given(st.text(st.characters(), max_size=60))
def test_no_character_of_a_control_category_remains(text: str) -> None:
    """By Python's Unicode categories, only text and plain spaces are left."""
    assert not {unicodedata.category(c) for c in one_line(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    kept = without_controls(text)
    assert not {unicodedata.category(c) for c in kept if c not in "\n\t"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(kept) == len(text)
    one_line(text).encode()


def test_the_line_is_bounded_however_long_the_text() -> None:
    """Megabytes of escapes become at most the requested number of characters, with an ellipsis at the end."""
    assert one_line("\x1b" * 5_000_000, 20) == "\\x1b\\x1b\\x1b\\x1b\\x1b…"[:19] + "…"
    assert one_line("a" * 20, 20) == "a" * 20
    assert one_line("a" * 21, 20) == "a" * 19 + "…"


def test_a_value_that_cannot_be_written_is_named() -> None:
    """A list nested deeper than Python can print is shown by its type."""
    deep: list[object] = []
    for _ in range(200_000):
        deep = [deep]
    assert one_line(deep) == "(list that is nested too deeply to show)"


def test_composed_text_keeps_its_lines() -> None:
    """Line feeds and tabs stay; every other control becomes one replacement character."""
    assert without_controls("a\n\tb\x1b[31m\x9bc\r\u202e") == "a\n\tb\ufffd[31m\ufffdc\ufffd\ufffd"
