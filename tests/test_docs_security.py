"""docs/security.md: every claim has a test that exists."""

from bot_process import ROOT
from cited_tests import CITED, missing

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
CLAIMS = PAGE.split("## Claims and their tests")[1].split("\n## ")[0]
ROWS = [line.strip("| ").split(" | ") for line in CLAIMS.splitlines() if line.startswith("| ")]


def test_every_claim_names_a_test():
    """A row of the claims is a sentence and at least one function."""
    claims = [row for row in ROWS if row[0] != "claim"]
    assert len(claims) > 20
    for row in claims:
        assert len(row) == 2, row
        assert CITED.search(row[1]), row


def test_every_test_that_is_named_exists():
    """A function without a file is in the file that was named before it."""
    assert missing(CLAIMS) == []
