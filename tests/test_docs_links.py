"""Links of the documentation: every file and anchor exists, on GitHub and in the site."""

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bot_process import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "venue").rglob("README.md")),
]
PARSER = MarkdownIt("commonmark").enable("table")


@cache
def parsed(page: Path) -> list[Token]:
    return PARSER.parse(page.read_text(encoding="utf-8"))


def targets(page: Path) -> list[str]:
    """The addresses of all links and images of a page."""
    inline = (child for token in parsed(page) for child in token.children or ())
    names = {"link_open": "href", "image": "src"}
    return [str(token.attrs[names[token.type]]) for token in inline if token.type in names]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found, counts = set(), Counter()
    for opening, heading in pairwise(parsed(page)):
        if opening.type == "heading_open":
            text = "".join(child.content for child in heading.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{slug}-{counts[slug]}" if counts[slug] else slug)
            counts[slug] += 1
    return found


def broken(page: Path, target: str) -> str | None:
    """What is wrong with a link, without any traffic."""
    parts = urlsplit(target)
    if parts.scheme:
        local = parts.scheme == "http" and parts.hostname == "127.0.0.1"
        ok = (parts.scheme == "https" or local) and parts.hostname and " " not in unquote(target)
        return None if ok else f"{target} is not an address"
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.exists() or ROOT not in file.parents:
        return f"{target} does not exist"
    if parts.fragment and parts.fragment not in anchors(file):
        return f"{target}: there is no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    """Files and headings that a page links to exist; other addresses are complete."""
    assert [wrong for target in targets(page) if (wrong := broken(page, target))] == []


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ("docs/index.md", None),
        ("docs/missing.md", "does not exist"),
        ("docs/live-safety.md#halts", None),
        ("docs/live-safety.md#nothing", "no such heading"),
        ("#safety", None),
        ("#nothing", "no such heading"),
        ("/etc/passwd", "does not exist"),
        ("https://example.com/a", None),
        ("http://example.com/a", "is not an address"),
        ("https:///a", "is not an address"),
    ],
)
def test_what_is_broken_is_found(target, wrong):
    """The check itself tells links that lead somewhere from those that do not."""
    found = broken(ROOT / "README.md", target)
    assert found is None if wrong is None else found is not None and wrong in found


def test_the_anchors_are_those_of_github(tmp_path):
    """Punctuation is dropped, spaces become hyphens, a repeated heading gets a number."""
    page = tmp_path / "page.md"
    page.write_text("# A `b_c`: d, E — f\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n")
    assert anchors(page) == {"a-b_c-d-e--f", "twice", "twice-1"}


def test_every_page_is_reached_from_the_readme():
    """The readme and the first page of the site link to every page of docs/."""
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    linked = {target.partition("#")[0] for target in targets(ROOT / "README.md")}
    assert {f"docs/{name}" for name in pages} <= linked
    assert pages - {"index.md"} <= {target.partition("#")[0] for target in targets(ROOT / "docs/index.md")}
