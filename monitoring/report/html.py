"""Builds HTML with automatic escaping: all text is escaped unless `tag` created it."""

from collections.abc import Iterable, Sequence
from html import escape

from common.plain_text import without_controls

DASH = "–"
"""The place of a value that is not known."""
NARROW = 7
"""Tables with fewer columns do not fill the page width."""


class Markup(str):
    """HTML that is inserted unchanged. Only `tag` and `join` create it; everything else is escaped."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element. Children that are not `Markup` are escaped, attribute values always.

    Attribute names are Python identifiers: ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``.
    None omits an attribute.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_plain(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


_VOID = frozenset({"meta", "link", "br"})


def join(parts: Iterable[str]) -> Markup:
    """Concatenate children, each escaped unless it is `Markup`."""
    return Markup("".join(part if isinstance(part, Markup) else _plain(part) for part in parts))


def _plain(text: str) -> str:
    """Text as HTML: escaped, and without control characters, which are invalid in HTML."""
    return escape(without_controls(text))


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    text: Iterable[int] = (0,),
    cards: bool = False,
) -> Markup:
    """A table that scrolls horizontally on a narrow screen.

    Parameters
    ----------
    text : Iterable[int]
        Numbers of the left-aligned columns.
    cards : bool
        On a narrow screen each row is a block with a line per cell instead, named by its heading.
    """
    left = frozenset(text)

    def cells(kind: str, row: Sequence[str], **attributes: str) -> Markup:
        return tag(
            "tr",
            *(
                tag(
                    kind,
                    text,
                    class_=None if number in left else "number",
                    data_label=headings[number] if cards and kind == "td" else None,
                    **attributes,
                )
                for number, text in enumerate(row)
            ),
        )

    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", cells("th", headings, scope="col")),
            tag("tbody", *(cells("td", row) for row in rows)),
            class_="cards" if cards else "narrow" if len(headings) < NARROW else None,
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )
