"""Deliberately broken builds of the bot, and the check by name that finds each.

    python -m tests.chaos.broken_builds [--only TEXT] [--whole-bot]

A build is the source with one change. The check is a test, which is run against the changed source and must
fail; with `--whole-bot` a build with an `invariant` also trades on the practice venue, and has to violate
it. The exit code is 1 if a build is not found.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.chaos.run import HOOKS, play
from tests.chaos.schedule import Schedule

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120
RULES = "tests/execution/test_order_rules.py"
RISK = "tests/execution/test_risk_engine.py::test_limit"
RISK_OF_PART = "tests/execution/test_risk_engine.py::test_the_limit_of_a_part_of_the_series"


class Build(NamedTuple):
    """One change of a file, the test that fails with it, and the invariant that a run with it violates.

    `limit` is the field of `RiskLimits` that the build does not check.
    """

    name: str
    file: str
    old: str
    new: str
    check: str
    invariant: str = ""
    limit: str = ""


BUILDS = (
    Build(
        "the intent is not written",
        "execution/order_lifecycle.py",
        "Write((OrderEntry(decision, order.intent, order.order_id, order.state, order.detail),)),\n",
        "",
        f"{RULES}::test_a_signed_order_is_written_before_it_is_posted",
        "orders_intended",
    ),
    Build(
        "the order hash is not written",
        "execution/order_lifecycle.py",
        "OrderEntry(decision, order.intent, order.order_id, order.state, order.detail)",
        "OrderEntry(decision, order.intent, None, order.state, order.detail)",
        f"{RULES}::test_a_signed_order_is_written_before_it_is_posted",
    ),
    Build(
        "the guard against a second order is left out",
        "execution/order_lifecycle.py",
        "return any(order.state not in DEAD for order in self._by_market.get(slug, ()))",
        "return False",
        f"{RULES}::test_a_market_with_an_order_that_may_exist_is_not_tried_again",
    ),
    Build(
        "books are not sorted",
        "core/strategy_brain/book_order.py",
        "asks=tuple(sorted(_real(book.asks), key=lambda level: (level.price, -level.size))),",
        "asks=tuple(_real(book.asks)),",
        "tests/core/strategy_brain/test_book_order.py::test_it_is_what_an_insertion_gives",
    ),
    Build(
        "the fee is left out",
        "execution/amounts.py",
        "return (shares * rate * price * (1 - price)).quantize(FEE_STEP, ROUND_HALF_UP)",
        "return Decimal(0)",
        "tests/execution/test_amounts.py::test_fee_matches_what_was_charged_on_chain",
        "fills_recorded_once",
    ),
    Build(
        "a halt is not checked at the decision",
        "execution/order_lifecycle.py",
        "why = made.halt or self._refusal_by_past(",
        "why = self._refusal_by_past(",
        f"{RULES}::test_a_gate_turns_a_buy_into_a_named_refusal",
    ),
    Build(
        "a halt is not checked before sending",
        "execution/execution_engine.py",
        "return self.halted or self._gate.refusal_before_sending()",
        "return None",
        "tests/execution/test_execution_engine.py::test_a_halt_after_the_signature_withholds_the_order",
    ),
    Build(
        "the mode is not checked before sending",
        "runtime/worker/order_gate.py",
        "return self.refusal() or self.standing()",
        "return self.standing()",
        "tests/control/test_order_gate.py::test_the_last_check_sees_what_was_switched_before_it",
    ),
    Build(
        "the position size is not checked",
        "execution/risk_engine.py",
        "if stake > limits.max_position_size + _fee_allowance(limits):",
        "if False:",
        RISK,
        limit="max_position_size",
    ),
    Build(
        "the number of open positions is not checked",
        "execution/risk_engine.py",
        "if state.positions >= limits.max_positions:",
        "if False:",
        RISK,
        limit="max_positions",
    ),
    Build(
        "the exposure is not checked",
        "execution/risk_engine.py",
        "if state.exposure + stake > limits.max_total_exposure:",
        "if False:",
        RISK,
        limit="max_total_exposure",
    ),
    Build(
        "the loss of the day is not checked",
        "execution/risk_engine.py",
        "if -worst_day > limits.max_loss_per_day:",
        "if False:",
        RISK,
        limit="max_loss_per_day",
    ),
    Build(
        "the drawdown is not checked",
        "execution/risk_engine.py",
        "if drawdown > limits.max_drawdown_pct:",
        "if False:",
        RISK,
        limit="max_drawdown_pct",
    ),
    Build(
        "the number of an asset's positions is not checked",
        "execution/risk_engine.py",
        "max_positions=limits.max_positions_per_asset,",
        "max_positions=None,",
        f"{RISK_OF_PART}[max_positions_per_asset]",
        limit="max_positions_per_asset",
    ),
    Build(
        "the exposure of an asset is not checked",
        "execution/risk_engine.py",
        "max_exposure=limits.max_exposure_per_asset,",
        "max_exposure=None,",
        f"{RISK_OF_PART}[max_exposure_per_asset]",
        limit="max_exposure_per_asset",
    ),
    Build(
        "the number of a series' positions is not checked",
        "execution/risk_engine.py",
        "max_positions=limits.max_positions_per_series,",
        "max_positions=None,",
        f"{RISK_OF_PART}[max_positions_per_series]",
        limit="max_positions_per_series",
    ),
    Build(
        "the exposure of a series is not checked",
        "execution/risk_engine.py",
        "max_exposure=limits.max_exposure_per_series,",
        "max_exposure=None,",
        f"{RISK_OF_PART}[max_exposure_per_series]",
        limit="max_exposure_per_series",
    ),
    Build(
        "the loss of the day of a series is not checked",
        "execution/risk_engine.py",
        "max_loss_per_day=limits.max_loss_per_day_per_series,",
        "max_loss_per_day=None,",
        f"{RISK_OF_PART}[max_loss_per_day_per_series]",
        limit="max_loss_per_day_per_series",
    ),
    Build(
        "the wallet is not locked",
        "control/locks.py",
        'return _held(wallet_lock(address), f"with the wallet {address}", "use another wallet")',
        "return suppress()",
        "tests/control/test_locks.py::test_a_second_bot_is_refused_and_a_killed_one_leaves_nothing_locked",
    ),
)


def changed(build: Build) -> str:
    """The source of the build's file.

    Raises
    ------
    ValueError
        If the text to replace is not in it exactly once.
    """
    source = (ROOT / build.file).read_text()
    if source.count(build.old) != 1:
        raise ValueError(f"{build.file} has {build.old!r} {source.count(build.old)} times")
    return source.replace(build.old, build.new)


def environment(build: Build, file: Path) -> dict[str, str]:
    """The environment in which a process imports the build; `file` is written for it."""
    changed(build)
    file.write_text(json.dumps({"file": build.file, "old": build.old, "new": build.new}))
    return {"PYTHONPATH": str(HOOKS), "CHAOS_BUILD": str(file)}


def exit_code(build: Build, more: dict[str, str]) -> int:
    """pytest's exit code for the check of a build in an environment: 0 it passed, 1 it failed."""
    quiet = ("-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", "slow or not slow")
    command = [sys.executable, "-m", "pytest", *quiet, build.check]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | more, capture_output=True, timeout=LIMIT_S, check=False
    ).returncode


def is_found_by_test(build: Build, folder: Path) -> bool:
    """Whether the check passes with the source as it is, and fails with the change."""
    wrong = environment(build, folder / "build.json")
    return exit_code(build, {}) == 0 and exit_code(build, wrong) == 1


def violated(build: Build, folder: Path) -> dict[str, list[str]]:
    """The violations of a run of the build without any fault."""
    bot = folder / "bot"
    bot.mkdir()
    outcome = play(Schedule(0, 0), bot, environment(build, folder / "build.json"))
    shutil.rmtree(bot, ignore_errors=True)
    return outcome.violations


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every build is found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.broken_builds", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="builds whose name contains it")
    parser.add_argument("--whole-bot", action="store_true", help="also trade with the builds")
    given = parser.parse_args(arguments)
    base = Path(tempfile.mkdtemp(prefix="builds-"))
    missed = 0
    for build in (build for build in BUILDS if given.only in build.name):
        found = is_found_by_test(build, base)
        print("found " if found else "MISSED", f" {build.name}  ({build.check})", flush=True)
        missed += not found
        if given.whole_bot and build.invariant:
            wrong = violated(build, base)
            found = build.invariant in wrong
            others = ", ".join(name for name in wrong if name != build.invariant)
            line = f" {build.name}  ({build.invariant}; {others})"
            print("found " if found else "MISSED", line, flush=True)
            missed += not found
    shutil.rmtree(base)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
