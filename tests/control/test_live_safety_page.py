"""docs/live-safety.md: its table equals the code's decisions, and states no other real orders than the
code."""

from pathlib import Path

from tools.mode_table import HEAD, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "live-safety.md"
BEGIN, END = "<!-- table -->\n", "<!-- /table -->"


def test_the_table_is_what_the_code_decides():
    """The committed table is the present output of `python -m tools.mode_table`."""
    page = PAGE.read_text(encoding="utf-8")
    committed = page[page.index(BEGIN) + len(BEGIN) : page.index(END)]
    assert committed == table(), "put the output of `python -m tools.mode_table` between the two marks"


def test_real_orders_are_two_rows():
    """Real orders need --live, the arming, and `0`, or no key where the last switch was not to simulation."""
    rows = [dict(zip(HEAD, line[2:-2].split(" | "), strict=True)) for line in table().splitlines()]
    real = [
        (row["started"], row["the store holds"], row["last switch"])
        for row in rows
        if "REAL" in row["orders"]
    ]
    assert real == [
        ("`--live`, doctor passes, armed", "`0`", "none yet or live or simulation, in this store"),
        ("`--live`, doctor passes, armed", "no key", "none yet or live"),
    ]
