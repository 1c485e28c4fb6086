"""Sphinx builds docs/ as a site: `./bot docs`. The pages are plain Markdown, which GitHub shows too."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent

project = "Polymarket BTC 15-minute bot"
release = str(tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"])
extensions = ["myst_parser"]
exclude_patterns = ["conf.py"]
# As GitHub: an anchor for each heading, and no language where a block names none.
myst_heading_anchors = 4
highlight_language = "none"
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False

SECTIONS = {
    "Start": ("first-hour", "how-it-decides", "commands", "settings"),
    "Trade": ("going-live", "live-safety", "unverified", "troubleshooting"),
    "Run": ("operations", "deployment", "monitoring", "metrics", "chat", "json-lines"),
    "Research": ("research", "learning", "data-export"),
    "Inside": (
        "architecture",
        "order-lifecycle",
        "ledger",
        "testing",
        "reliability",
        "performance",
        "security",
        "licences",
        "field-reports",
        "upgrades",
        "release",
    ),
}
"""Pages by section, without the suffix; pages in no section follow under `More`."""


def contents() -> Iterator[str]:
    """The sections of the navigation as Markdown for MyST."""
    named = {page for pages in SECTIONS.values() for page in pages}
    more = sorted({path.stem for path in DOCS.glob("*.md")} - named - {"index"})
    for section, pages in {**SECTIONS, "More": tuple(more)}.items():
        if pages:
            yield "\n".join(("\n```{toctree}", ":hidden:", f":caption: {section}", "", *pages, "```\n"))


def add_contents(app: Any, page: str, source: list[str]) -> None:
    """Append the navigation to the first page, whose file has none, so that GitHub shows no directive."""
    if page == "index":
        source[0] += "".join(contents())


def setup(app: Any) -> None:
    """Sphinx calls this function once."""
    app.connect("source-read", add_contents)
