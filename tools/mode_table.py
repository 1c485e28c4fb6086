"""The table of docs/live-safety.md: the mode for every kind of start, mode store content and last switch.

`python -m tools.mode_table` prints it; a test compares the page with it.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from control.arming import CONFIRMATION, arm, require_doctor
from control.last_mode_switch import LastModeSwitch
from control.mode_gate import ModeController, ModeDecision, decide_mode
from control.mode_store import ModeReading, ModeValue
from errors import Fatal
from execution.ledger import Mode
from models import Frozen

HERE = "the store in use"
READINGS = {
    "`1`": ModeReading(ModeValue.SIMULATION, "the mode store is set to simulation"),
    "`0`": ModeReading(ModeValue.LIVE, "the mode store is set to live"),
    "no key": ModeReading(ModeValue.UNSET, "no mode is set in the mode store"),
    "anything else": ModeReading(ModeValue.GARBAGE, "the mode store holds …, which is neither 1 nor 0"),
    "no answer": ModeReading(ModeValue.LOST, "the mode store did not answer"),
    "there is none": None,
}
LAST_SWITCHES = {
    "none yet": None,
    "live": LastModeSwitch(Mode.LIVE, HERE),
    "simulation, in this store": LastModeSwitch(Mode.SIMULATION, HERE),
    "simulation, in another store": LastModeSwitch(Mode.SIMULATION, "another store"),
    "simulation, in no store": LastModeSwitch(Mode.SIMULATION),
}
HEAD = ("started", "the store holds", "last switch", "orders", "reason shown by the bot")


class StartCase(Frozen, frozen=True):
    """A kind of start: the doctor's failures, the setting LIVE_TRADING_CONFIRM, and the typed answer.

    `typed` is None without a terminal.
    """

    description: str
    live_flag: bool
    failures: int = 0
    confirm: str = ""
    typed: str | None = None


STARTS = (
    StartCase("without `--live`", live_flag=False),
    StartCase("`--live`, doctor fails, armed or not", live_flag=True, failures=1),
    StartCase(
        "`--live`, doctor fails, armed or not", live_flag=True, failures=1, confirm="yes", typed=CONFIRMATION
    ),
    StartCase("`--live`, doctor passes, no terminal to arm it in", live_flag=True),
    StartCase("`--live`, doctor passes, armed wrongly", live_flag=True, typed=CONFIRMATION.lower()),
    StartCase("`--live`, doctor passes, armed", live_flag=True, typed=CONFIRMATION),
    StartCase("`--live`, doctor passes, armed", live_flag=True, confirm="yes"),
)

Row = tuple[str, ...]


def table() -> str:
    """All combinations as Markdown; combinations with the same result share a row."""
    rows = [row for starts, cases in _grouped(STARTS, _cases) for row in _rows(starts, cases)]
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rows(starts: list[StartCase], cases: "Cases") -> Iterator[Row]:
    started = " or ".join(dict.fromkeys(start.description for start in starts))
    if isinstance(cases, str):
        yield (started, "any", "any", "**none: it does not start**", cases)
        return
    for readings, outcomes in _grouped(cases, lambda reading: cases[reading]):
        for lasts, (orders, why) in _grouped(outcomes, lambda last, of=outcomes: of[last]):
            yield (started, _list(readings, READINGS), _list(lasts, LAST_SWITCHES), orders, why)


Outcome = tuple[str, str]
Cases = dict[str, dict[str, Outcome]] | str
"""Outcome by reading and last switch; or why the bot does not start."""


def _cases(start: StartCase) -> Cases:
    try:
        armed = start.live_flag and _armed(start)
    except Fatal as error:
        return str(error)
    return {
        reading: {last: _outcome(start, armed, reading, last) for last in LAST_SWITCHES}
        for reading in READINGS
    }


def _armed(start: StartCase) -> bool:
    require_doctor(start.failures)
    typed = start.typed
    return bool(arm(start.confirm, None if typed is None else lambda question: typed))


def _outcome(start: StartCase, armed: bool, reading: str, last: str) -> Outcome:
    read = READINGS[reading]
    if read is None:
        mode_decision = ModeController(None, start.live_flag, armed, Path()).mode_decision()
    else:
        mode_decision = decide_mode(
            live_flag=start.live_flag, armed=armed, reading=read, last=LAST_SWITCHES[last], store=HERE
        )
    return _orders(mode_decision), mode_decision.why


def _orders(mode_decision: ModeDecision) -> str:
    if mode_decision.mode is Mode.SIMULATION:
        return "paper"
    return "**REAL**" if mode_decision.allows_orders else "none: no new position"


def _grouped[Key, Value](
    keys: tuple[Key, ...] | dict[Key, Value], outcome: Callable[[Key], Value]
) -> list[tuple[list[Key], Value]]:
    """Group the keys by their outcome; both in their original order."""
    groups: list[tuple[list[Key], Value]] = []
    for key in keys:
        value = outcome(key)
        for members, known in groups:
            if known == value:
                members.append(key)
                break
        else:
            groups.append(([key], value))
    return groups


def _list(some: list[str], every: dict[str, ModeReading | None] | dict[str, LastModeSwitch | None]) -> str:
    if len(some) == len(every):
        return "any"
    if len(some) == len(every) - 1 and len(some) > 1:
        (other,) = set(every) - set(some)
        return f"any but {other}"
    kind = [one for one in every if one.startswith("simulation")]
    return "simulation" if len(kind) > 1 and some == kind else " or ".join(some)


if __name__ == "__main__":
    sys.stdout.write(table())
