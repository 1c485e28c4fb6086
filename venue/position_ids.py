"""Outcome ids of Protocol V2 markets: built as published, and distinguished from CTF token ids.

A position id has 256 bits: the module (first byte), the condition, and the outcome index (last byte). 64 of
its bits are zero, which no hash has by chance: this distinguishes it from a CTF token id.
"""

BINARY_MODULE = 1
"""First byte of the ids of two-outcome markets outside of neg-risk events."""
MODULES = (BINARY_MODULE, 2, 3)
"""Modules with outcomes: binary, neg-risk, combinatorial."""

LONGEST_ID = 78
"""Digits of the largest number of 256 bits."""
_ZERO_BITS = ((1 << 64) - 1) << 40
_EVENT_BYTES = 18
"""Length of the part that identifies the event, between the module and the zero bits."""


def condition_of_event(event: bytes) -> str:
    """The condition id, 31 bytes, of the binary market of an event, which is given by its hash."""
    body = bytes([BINARY_MODULE]) + event[:_EVENT_BYTES] + bytes(12)
    return "0x" + body.hex()


def position_ids(condition_id: str) -> tuple[str, str]:
    """The ids of the two outcomes of a condition, in the order of the outcomes."""
    base = int(condition_id, 16) << 8
    return str(base), str(base + 1)


def is_outcome_id(text: str) -> bool:
    """Whether a text is a decimal number of the length of an outcome's id."""
    return text.isdecimal() and len(text) <= LONGEST_ID


def is_position_id(token: str) -> bool:
    """Whether an id, a decimal number, is a position id and not a CTF token id."""
    value = int(token)
    return value >> 248 in MODULES and value & _ZERO_BITS == 0


def unpadded(condition_id: str) -> str:
    """A condition id in its own length: that of Protocol V2 has 31 bytes, and some clients pad it to 32."""
    text = condition_id.lower()
    padded = len(text) == 66 and text.endswith("00")
    try:
        return text[:64] if padded and is_position_id(str(int(text, 16))) else text
    except ValueError:
        return text
