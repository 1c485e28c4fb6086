"""Names the tests that a run left out, in its last line: a skipped test must not pass for a passed one."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

REPORT = "LEFT_OUT_REPORT"
"""Environment variable: a file to which a run appends the line, for `./bot check`."""


def line_of(reasons: Iterable[str]) -> str:
    """One line about the skipped tests, from the reason of each; empty if there are none."""
    counted = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    named = ", ".join(f"{reason} ({count})" for reason, count in sorted(counted.items()))
    total = sum(counted.values())
    return f"{total} test{'s' if total > 1 else ''} left out: {named}" if total else ""


def pytest_unconfigure(config):
    """Print the line after pytest's own last one."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    if line := line_of(report.longrepr[2] for report in skipped):
        reporter.write_line(line, yellow=True)
        if path := os.environ.get(REPORT):
            with Path(path).open("a") as file:
                file.write(f"{line}\n")
