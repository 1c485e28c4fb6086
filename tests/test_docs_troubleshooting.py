"""docs/troubleshooting.md: the texts of the venue and the bot are headings, so that they can be searched."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from bot_process import ROOT

from execution.outcomes import NO_FILL_TEXTS, REFUSED_503_TEXTS
from models import OrderState
from venue.faults import UNAVAILABLE

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
HEADINGS = " | ".join(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)).lower()


def outcomes() -> ModuleType:
    """The module with the table of outcomes, one row of which is one test."""
    spec = importlib.util.spec_from_file_location(
        "table_of_outcomes", ROOT / "tests/patches/test_order_outcomes.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", [*NO_FILL_TEXTS, *REFUSED_503_TEXTS])
def test_each_distinguished_text_has_a_heading(text):
    """Each text by which the bot classifies answers can be found."""
    assert text in HEADINGS


@pytest.mark.parametrize("body", UNAVAILABLE.values(), ids=UNAVAILABLE)
def test_maintenance_is_found_verbatim(body):
    """The answers of an outage are verbatim headings."""
    assert body["error"].lower() in HEADINGS


def test_every_row_of_the_table_of_outcomes_is_there():
    """The text of each row of the table of outcomes, or its name if it has no text, is in a heading."""
    missing = []
    for name, row in outcomes().ROWS.items():
        parts = re.sub(r"^HTTP 4\d\d: |'?0x1'? |^order (?=is )", "", row.text) or name
        if parts.lower().removeprefix("order ") not in HEADINGS:
            missing.append(parts)
    assert not missing


def texts_of(call: ast.Call) -> Iterator[str]:
    """The longest fixed part of each text among a call's arguments."""
    for argument in call.args:
        if isinstance(argument, ast.JoinedStr):
            parts = [part.value for part in argument.values if isinstance(part, ast.Constant)]
            yield max((part.strip(" :,") for part in parts if isinstance(part, str)), key=len)
        elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def test_the_texts_of_the_order_lifecycle_have_headings():
    """Every reason with which the lifecycle changes an order's state or halts is a heading."""
    tree = ast.parse((ROOT / "execution/order_lifecycle.py").read_text())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("self._move", "Halt")
    ]
    found = {text for call in calls for text in texts_of(call)} | {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason"
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    expected = {"the trade failed on the chain", "the venue reports that it ended without a match"}
    assert expected | {"the venue traded an order in", "cannot be read"} <= found
    assert not {text for text in found if text.lower() not in HEADINGS}


def test_every_state_is_explained():
    """Each final state of an order is in the table at the top."""
    for state in OrderState:
        if state not in (OrderState.INTENT, OrderState.SENT):
            assert f"`{state}`" in PAGE
