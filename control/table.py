"""The table of docs/live-safety.md: every start, mode store and last word, with what the code makes of them.

`python -m control.table` prints it; a test holds the page against it.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from control.arming import WORD, arm, require_doctor
from control.gate import Keeper, Verdict, decide_mode
from control.memory import LastWord
from control.store import Reading, Says
from errors import Fatal
from execution.ledger import Mode
from models import Frozen

HERE = "the store that is asked"
READINGS = {
    "`1`": Reading(Says.SIMULATION, "the mode store says simulation"),
    "`0`": Reading(Says.LIVE, "the mode store says live"),
    "no key": Reading(Says.UNSET, "the mode store has no word on the mode"),
    "anything else": Reading(Says.GARBAGE, "the mode store holds …, which is neither 1 nor 0"),
    "no answer": Reading(Says.LOST, "the mode store gave no answer"),
    "there is none": None,
}
LAST_WORDS = {
    "none yet": None,
    "live": LastWord(Mode.LIVE, HERE),
    "simulation, in this store": LastWord(Mode.SIMULATION, HERE),
    "simulation, in another store": LastWord(Mode.SIMULATION, "another store"),
    "simulation, in no store": LastWord(Mode.SIMULATION),
}
HEAD = ("started", "the store says", "last word", "orders", "what the bot says")


class Start(Frozen, frozen=True):
    """A way to start: what the doctor finds, the setting LIVE_TRADING_CONFIRM, and what is typed.

    `typed` is None when nobody can type.
    """

    words: str
    live_flag: bool
    failures: int = 0
    confirm: str = ""
    typed: str | None = None


STARTS = (
    Start("without `--live`", live_flag=False),
    Start("`--live`, doctor fails, armed or not", live_flag=True, failures=1),
    Start("`--live`, doctor fails, armed or not", live_flag=True, failures=1, confirm="yes", typed=WORD),
    Start("`--live`, doctor passes, nobody to arm it", live_flag=True),
    Start("`--live`, doctor passes, armed wrongly", live_flag=True, typed=WORD.lower()),
    Start("`--live`, doctor passes, armed", live_flag=True, typed=WORD),
    Start("`--live`, doctor passes, armed", live_flag=True, confirm="yes"),
)

Row = tuple[str, ...]


def table() -> str:
    """All combinations in Markdown, those that come to the same in one row."""
    rows = [row for starts, cases in _grouped(STARTS, _cases) for row in _rows(starts, cases)]
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rows(starts: list[Start], cases: "Cases") -> Iterator[Row]:
    started = " or ".join(dict.fromkeys(start.words for start in starts))
    if isinstance(cases, str):
        yield (started, "any", "any", "**none: it does not start**", cases)
        return
    for readings, outcomes in _grouped(cases, lambda reading: cases[reading]):
        for lasts, (orders, why) in _grouped(outcomes, lambda last, of=outcomes: of[last]):
            yield (started, _list(readings, READINGS), _list(lasts, LAST_WORDS), orders, why)


Outcome = tuple[str, str]
Cases = dict[str, dict[str, Outcome]] | str
"""By reading and last word; or why it does not start."""


def _cases(start: Start) -> Cases:
    try:
        armed = start.live_flag and _armed(start)
    except Fatal as error:
        return str(error)
    return {
        reading: {last: _outcome(start, armed, reading, last) for last in LAST_WORDS} for reading in READINGS
    }


def _armed(start: Start) -> bool:
    require_doctor(start.failures)
    typed = start.typed
    return bool(arm(start.confirm, None if typed is None else lambda question: typed))


def _outcome(start: Start, armed: bool, reading: str, last: str) -> Outcome:
    read = READINGS[reading]
    if read is None:
        verdict = Keeper(None, start.live_flag, armed, Path()).verdict()
    else:
        verdict = decide_mode(
            live_flag=start.live_flag, armed=armed, reading=read, last=LAST_WORDS[last], store=HERE
        )
    return _orders(verdict), verdict.why


def _orders(verdict: Verdict) -> str:
    if verdict.mode is Mode.SIMULATION:
        return "paper"
    return "**REAL**" if verdict.allows_orders else "none: no new position"


def _grouped[Key, Value](
    keys: tuple[Key, ...] | dict[Key, Value], outcome: Callable[[Key], Value]
) -> list[tuple[list[Key], Value]]:
    """The keys by what comes of them, both in their order."""
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


def _list(some: list[str], every: dict[str, Reading | None] | dict[str, LastWord | None]) -> str:
    if len(some) == len(every):
        return "any"
    if len(some) == len(every) - 1 and len(some) > 1:
        (other,) = set(every) - set(some)
        return f"any but {other}"
    kind = [one for one in every if one.startswith("simulation")]
    return "simulation" if len(kind) > 1 and some == kind else " or ".join(some)


if __name__ == "__main__":
    sys.stdout.write(table())
