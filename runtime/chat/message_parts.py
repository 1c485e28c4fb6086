"""Splits a text into messages of the length that Telegram accepts. Pure."""

LONGEST = 4096
"""Maximum length of a message, in UTF-16 code units, which is how Telegram's clients count."""


def split(text: str, longest: int = LONGEST) -> list[str]:
    """Split a text at the ends of lines, and a line only if it is too long for one message.

    Parameters
    ----------
    text : str
    longest : int
        Maximum length of a part in UTF-16 code units, at least 2.

    Returns
    -------
    list of str
        No part is blank, which Telegram refuses; none for a blank text.
    """
    parts, part, length = [], "", 0
    for piece in _pieces(text, longest):
        size = _units(piece)
        if length + size > longest:
            parts.append(part)
            part, length = "", 0
        part, length = part + piece, length + size
    return [stripped for each in (*parts, part) if (stripped := each.strip())]


def _pieces(text: str, longest: int) -> list[str]:
    """The lines of a text with their ends; a line that is too long as pieces of at most `longest`."""
    pieces = []
    for line in text.splitlines(keepends=True):
        piece, length = "", 0
        for character in line:
            size = _units(character)
            if length + size > longest:
                pieces.append(piece)
                piece, length = "", 0
            piece, length = piece + character, length + size
        pieces.append(piece)
    return pieces


def _units(text: str) -> int:
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)
