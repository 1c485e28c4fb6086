"""Makes external text safe to display: no control characters, one line, limited length."""

import re
from typing import Any

LONGEST = 500
REPLACEMENT = "\ufffd"
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""C0 and C1 controls and DEL; format characters, including bidirectional overrides and zero-width characters;
line and paragraph separators; lone surrogates, which cannot be encoded."""
_CONTROL_BUT_LINES = re.compile(rf"(?![\n\t]){CONTROL.pattern}")


def one_line(value: object, limit: int = LONGEST) -> str:
    r"""Format an external value on one line.

    Parameters
    ----------
    value : object
        Any value; its `str` is used.
    limit : int
        Maximum length of the result. Longer text is cut off and ends with an ellipsis.

    Returns
    -------
    str
        White space, line breaks included, becomes single spaces; each control character becomes its escape,
        for example ``\x1b``.
    """
    try:
        text = str(value)
    except RecursionError:
        text = f"({type(value).__name__} that is nested too deeply to show)"
    # Cut first: the text may have megabytes, and each character can become up to ten.
    line = CONTROL.sub(_escape, " ".join(text[: 4 * limit].split()))
    return line if len(line) <= limit and len(text) <= 4 * limit else f"{line[: limit - 1]}…"


def escaped(text: str) -> str:
    r"""The text with each control character, line breaks included, replaced by its escape: ``\x1b``."""
    return CONTROL.sub(_escape, text)


def escaped_json(value: Any) -> Any:
    """Decoded JSON with `escaped` strings; all other values are unchanged."""
    if isinstance(value, dict):
        return {escaped(key): escaped_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [escaped_json(each) for each in value]
    return escaped(value) if isinstance(value, str) else value


def without_controls(text: str) -> str:
    """The text with each control character replaced by U+FFFD, except line feeds and tabs.

    For text that is already composed and keeps its layout, such as log lines and table cells.
    """
    return _CONTROL_BUT_LINES.sub(REPLACEMENT, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
