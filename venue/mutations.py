"""Changes JSON messages by their structure, drawn from a seed: fields dropped, doubled, retyped, replaced.

For clients and servers that have to survive any message. The same seed gives the same change.
"""

import json
from random import Random
from typing import Any

Path = tuple[str | int, ...]

GARBAGE = (
    "null",
    "{}",
    "NaN",
    "-Infinity",
    "1e400",
    "-1",
    "9" * 15,
    "9" * 30,
    "9" * 5000,
    '""',
    '"NaN"',
    '"sNaN"',
    '"Infinity"',
    '"-1"',
    '"1e400"',
    '"1e-400"',
    '"' + "9" * 15 + '"',
    '"' + "9" * 400 + '"',
    '"1_0"',
    '" 0.5"',
    '"\u0660.\u0665"',
    '"\\ud800"',
    '"\\u0000"',
    '"\\u001b[2J\\u001b]0;title\\u0007\\r\\u009b5n\\u202e"',
    '"<script>alert(1)</script>&\\"\'"',
    '"[link=http://a.example]text[/link] [red] @everyone <!channel> {0} %s"',
    '"' + "x" * 3000 + '"',
)
"""JSON texts that are no valid value of a price, size, time, id or flag; some are not JSON."""

PLAUSIBLE = (
    "true",
    "false",
    "[]",
    "0",
    "1",
    "7",
    "0.5",
    '"0"',
    '"1"',
    '"0.5"',
    '"7"',
    '"true"',
    '"0x10"',
    '"UP"',
)
"""JSON texts that are valid values of some field."""

DEPTHS = (70, 1500, 100_000)
"""Nesting that a client has to reject: above its limit, above that of the interpreter, and of any decoder."""

INVALID = ("value", "value", "value", "drop", "double field", "retype", "deep")
"""Changes after which no valid message has another meaning, if the values are GARBAGE."""
ALL = (*INVALID, "drop row", "double row", "foreign id", "plausible")


def mutated_text(content: Any, random: Random, kinds: tuple[str, ...] = ALL, most: int = 3) -> str:
    """JSON content with one to `most` changes, as text; it may not be JSON any more.

    Parameters
    ----------
    content : Any
        Decoded JSON.
    random : Random
    kinds : tuple of str
        The kinds of change to choose from.
    most : int
        Maximum number of changes.
    """
    changed = json.loads(json.dumps(content))
    literals: list[str] = []
    for _ in range(random.randint(1, most)):
        changed = _changed(changed, random, random.choice(kinds), literals)
    text = json.dumps(changed, ensure_ascii=False)
    for number, literal in enumerate(literals):
        text = text.replace(f'"@literal {number}@"', literal)
    if kinds is ALL and random.random() < 0.1:
        text = text[: random.randrange(len(text) + 1)]
    return text


def mutated_body(content: Any, random: Random, kinds: tuple[str, ...] = ALL, most: int = 3) -> bytes:
    """The same as bytes; with all kinds, one in five has another encoding, or bytes that are no text."""
    text = mutated_text(content, random, kinds, most)
    body = text.encode(errors="surrogatepass")
    if kinds is not ALL or random.random() > 0.2:
        return body
    at = random.randrange(len(body) + 1)
    return random.choice(
        (
            text.encode("utf-16", errors="surrogatepass"),
            text.encode("latin-1", errors="replace") + b"\xe9",
            b"\xef\xbb\xbf" + body,
            body[:at] + b"\xff\x00\xc3" + body[at:],
            b"<!DOCTYPE html><html><script>alert(1)</script></html>",
            b"",
        )
    )


def places(content: Any, before: Path = ()) -> list[Path]:
    """The path of every value inside decoded JSON."""
    found: list[Path] = []
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            found.append((*before, key))
            found += places(value, (*before, key))
    return found


def _changed(content: Any, random: Random, kind: str, literals: list[str]) -> Any:
    """The content after one change; the whole content is replaced if there is no fitting place."""
    wanted = int if kind in ("drop row", "double row") else str if kind in ("drop", "double field") else None
    fitting = [path for path in places(content) if wanted is None or isinstance(path[-1], wanted)]
    if not fitting:
        return _literal(random.choice(GARBAGE), literals)
    path = random.choice(fitting)
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    key: Any = path[-1]
    old = holder[key]
    if isinstance(old, str) and old.startswith("@literal "):
        return content
    if kind in ("drop", "drop row"):
        del holder[key]
    elif kind == "double row":
        holder.insert(key, old)
    elif kind == "double field":
        name, again = json.dumps(key), random.choice(GARBAGE)
        holder[key] = _literal(f"{json.dumps(old)},{name}:{again}", literals)
    else:
        holder[key] = _replaced(old, random, kind, literals)
    return content


def _replaced(old: Any, random: Random, kind: str, literals: list[str]) -> Any:
    if kind == "deep":
        depth = random.choice(DEPTHS)
        return _literal("[" * depth + "]" * depth, literals)
    if kind == "retype":
        return random.choice(([old], {"value": old}, [[old, old]]))
    if kind == "foreign id" and isinstance(old, str) and len(old) > 9:
        digits = "0123456789abcdef" if old.startswith("0x") else "0123456789"
        head = "0x" if old.startswith("0x") else ""
        return head + "".join(random.choices(digits, k=len(old) - len(head)))
    return _literal(random.choice(PLAUSIBLE if kind == "plausible" else GARBAGE), literals)


def _literal(text: str, literals: list[str]) -> str:
    literals.append(text)
    return f"@literal {len(literals) - 1}@"
