"""docs/field-reports.md: every report has its source and a test that exists."""

import re

from bot_process import ROOT
from cited_tests import CITED, missing

PAGE = (ROOT / "docs/field-reports.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
REPORTS = [row for row in ROWS if row[0] not in ("report", "---")]


def test_every_report_has_a_number_and_a_test():
    """A row names at least one repository with a number, and at least one function."""
    for row in REPORTS:
        assert len(row) == 4, row
        assert re.match(r"[\w.-]+/[\w.-]+ #\d+", row[0]), row[0]
        assert CITED.search(row[3]), row


def test_every_test_that_is_named_exists():
    """A function without a file is in the file that was named before it."""
    assert missing(PAGE) == []


def test_there_are_ten_more():
    """At least ten that were tried, apart from the first ones and from those that were only compared."""
    more = PAGE.split("## More reports that were tried")[1].split("\n## ")[0]
    assert sum(line.startswith("| ") and " #" in line for line in more.splitlines()) >= 10
