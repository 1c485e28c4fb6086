"""Splitting an answer into messages that Telegram accepts."""

from hypothesis import example, given
from hypothesis import strategies as st

from runtime.chat.message_parts import split


def test_lines_stay_together():
    """A text is cut at the ends of lines, and only a line that is too long is cut inside."""
    assert split("one\ntwo\nthree", 8) == ["one\ntwo", "three"]
    assert split("abcdefghij\nk", 4) == ["abcd", "efgh", "ij\nk"]
    assert split("\n \n") == []


def test_a_short_text_is_one_message():
    """The limit is 4096: a text of exactly this length is one message, a longer one is two."""
    assert [len(part) for part in split("x" * 4096)] == [4096]
    assert [len(part) for part in split("x" * 4097)] == [4096, 1]


@given(text=st.text(st.sampled_from("ab \n😀")), longest=st.integers(2, 9))
@example(text="a😀", longest=2)
def test_no_part_is_too_long_or_blank_and_nothing_is_lost(text, longest):
    """Characters outside the basic plane count twice and are never cut; only white space may be dropped."""
    parts = split(text, longest)
    assert all(0 < len(part.encode("utf-16-le")) // 2 <= longest for part in parts)
    assert all(part.strip() for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
