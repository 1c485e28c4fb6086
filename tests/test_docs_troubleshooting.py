"""docs/troubleshooting.md: what the venue or the bot says is a heading there that one can search for."""

import re

import pytest
from bot_process import ROOT

from execution.outcomes import NO_FILL_TEXTS, REFUSED_503_TEXTS
from models import OrderState
from venue.faults import CATALOG, UNAVAILABLE

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
HEADINGS = " | ".join(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)).lower()
ROWS = (ROOT / "tests/patches/test_order_outcomes.py").read_text()
SAID = sorted(
    set(
        re.findall(
            r'"(HTTP \d+|status \w+|Request exception|[a-z][a-z ]+ (?:out|execution|issues|killed))"', ROWS
        )
    )
)


@pytest.mark.parametrize("text", [*NO_FILL_TEXTS, *REFUSED_503_TEXTS])
def test_what_is_told_apart_has_a_heading(text):
    """Each text by which the bot tells answers apart can be found."""
    assert text in HEADINGS


@pytest.mark.parametrize("body", UNAVAILABLE.values(), ids=UNAVAILABLE)
def test_maintenance_is_found_verbatim(body):
    """The three answers of an outage are headings word for word."""
    assert body["error"].lower() in HEADINGS


@pytest.mark.parametrize("text", SAID)
def test_every_row_of_the_table_of_outcomes_is_there(text):
    """What a row of the table of outcomes says stands as a heading."""
    assert text.lower() in HEADINGS


def test_the_rows_were_found():
    """The pattern above finds the rows' words."""
    assert len(SAID) >= 8
    assert "html_403" in CATALOG


def test_every_state_is_explained():
    """Each state that an order can end in is in the table at the top."""
    for state in OrderState:
        if state not in (OrderState.INTENT, OrderState.SENT):
            assert f"`{state}`" in PAGE
