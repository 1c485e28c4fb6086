"""docs/how-it-decides.md and its picture: gates, reasons, weights and numbers are those of the code."""

import re
from decimal import Decimal

from bot_process import ROOT

from config import Settings
from core.strategy_brain.strategies.gates import AFTER_THE_VOTE, BEFORE_THE_VOTE, MIN_HISTORY
from models import RETRIED, Reason

PAGE = (ROOT / "docs/how-it-decides.md").read_text(encoding="utf-8")
PICTURE = (ROOT / "docs/decision.svg").read_text(encoding="utf-8")
DEFAULTS = Settings()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_steps_are_the_gates_in_their_order():
    """The table has every gate, in the order in which the code asks them, and the risk limits last."""
    named = [cell.strip("`") for cell, *_ in rows("Steps") if cell]
    assert named == [*(gate.__name__ for gate in (*BEFORE_THE_VOTE, *AFTER_THE_VOTE)), "risk limits"]


def test_every_reason_is_named_with_whether_it_is_tried_again():
    """Each reason of the code is there, with whether the next tick may lift it."""
    table = {reason.strip("`"): again == "yes" for _, _, reason, again in rows("Steps")}
    around = {Reason.MODE, Reason.NOT_TRADABLE}
    assert set(table) == {reason.value for reason in Reason} - around
    assert {name for name, again in table.items() if again} == {reason.value for reason in RETRIED} - around
    assert "`not_tradable`" in PAGE
    assert "`mode`, tried again" in PAGE


def test_the_six_weights_are_the_defaults():
    """Processors and weights, in the order of their votes."""
    table = {name: float(weight) for name, weight, *_ in rows("Six votes")}
    assert table == DEFAULTS.weights


def test_the_numbers_are_the_defaults():
    """Window, thresholds, limits and sizes in text and picture are those of the settings."""
    drawn = " ".join(re.findall(r">([^<]+)</text>", PICTURE))
    window = f"{DEFAULTS.trade_window_start:g} to {DEFAULTS.trade_window_end:g}"
    age, weight = f"{DEFAULTS.max_quote_age_seconds:g} s old", f"at least {DEFAULTS.fusion_min_weight:g}"
    score = f"score at least {DEFAULTS.fusion_min_score:g}"
    shown = [
        *(window, age, weight, score, f"{MIN_HISTORY} seconds of prices"),
        f"Up above {DEFAULTS.trend_up_threshold}, Down below {DEFAULTS.trend_down_threshold}",
        f"ask + {DEFAULTS.max_slippage}, at most {DEFAULTS.max_entry_price};",
        f"{DEFAULTS.position_size_usd} pUSD",
    ]
    assert [text for text in shown if text not in drawn] == []
    written = [
        *(window, age, weight, score, f"at least {MIN_HISTORY} prices"),
        f"p > {DEFAULTS.trend_up_threshold}: Up is the favourite; p < {DEFAULTS.trend_down_threshold}: Down",
        f"({DEFAULTS.position_size_usd} pUSD)",
    ]
    assert [text for text in written if text not in PAGE] == []


def test_fees_break_even_and_caps_are_computed():
    """The table of fees follows from the formulas above it, with a fee rate of 0.07 and a tick of 0.01."""
    rate, tick = Decimal("0.07"), Decimal("0.01")
    for ask_text, fee, even, cap in rows("Fee, edge and price cap"):
        ask = Decimal(ask_text)
        assert Decimal(fee) == rate * ask * (1 - ask)
        assert even == f"{100 * (ask + Decimal(fee)):.1f} %"
        assert Decimal(cap) == min(ask + Decimal("0.02"), Decimal("0.99"), 1 - tick)
