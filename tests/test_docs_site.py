"""The site: a broken link ends the strict build; test_docs_commands.py builds and inspects the site."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bot_process import ROOT
from check import STEPS


def build(docs, site):
    """Build a folder of pages with the options of `./bot docs`."""
    command = [
        str(docs) if word == "docs" else str(site) if word == "site" else word for word in STEPS["docs"]
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture
def docs(tmp_path):
    """A copy of the pages and of the file whose version they show."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return shutil.copytree(ROOT / "docs", tmp_path / "docs")


def incomplete(docs: Path, site: Path) -> list[str]:
    """Pages that are not in the navigation of a built site, and addresses that it loads from other hosts."""
    first = (site / "index.html").read_text(encoding="utf-8")
    navigation = set(re.findall(r'class="reference internal" href="([\w-]+)\.html"', first))
    found = sorted({page.stem for page in docs.glob("*.md")} - {"index"} - navigation)
    for file in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", file.read_text(encoding="utf-8"))
        found += [tag for tag in tags if re.search(r"(src|href)=\"(https?:)?//", tag)]
    for file in site.rglob("*.css"):
        found += re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)", file.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_a_broken_link_ends_the_build(docs, tmp_path):
    """A missing page and a missing heading are each named, and the exit code is 1."""
    with (docs / "index.md").open("a") as page:
        page.write("\n[a](missing.md) [b](live-safety.md#missing-heading)\n")
    done = build(docs, tmp_path / "site")
    assert done.returncode == 1
    assert "missing.md" in done.stderr
    assert "missing-heading" in done.stderr
