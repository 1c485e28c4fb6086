"""Trades the markets of a recording on several processes, with the result of a run on one."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path

from config import Settings
from errors import Fatal
from models import Frozen
from research.backtest.carry import Carry
from research.backtest.engine import GROUP, STARTING_CASH, GroupResult, RunLedger, play_group
from research.recordings import ListedMarket
from research.recordings.selection import Contents, Defects, Selection
from settings_mapping import risk_limits

AHEAD = 2
"""Groups per process that are under way or wait to be written."""


class SelectionRules(Frozen, frozen=True):
    """Which markets of a recording are traded; see `Selection`."""

    defects: Defects = Defects.REFUSE
    era: str | None = None
    delay_ns: int | None = None

    def select(self, listed: Sequence[ListedMarket], settings: Settings) -> Selection:
        """These markets, selected."""
        return Selection(
            listed,
            defects=self.defects,
            era=self.era,
            timeframe=settings.market_timeframe,
            delay_ns=self.delay_ns,
        )


class Played(Frozen, frozen=True):
    """A group's result in a process; `result` is None if no market of it was selected."""

    contents: Contents
    result: GroupResult | None


class Failed(Frozen, frozen=True):
    """A group whose recording cannot be used: the message of the error and its next step."""

    message: str
    next_step: str


def run_listed(
    listed: Sequence[ListedMarket],
    settings: Settings,
    ledger_path: Path,
    advance: Callable[[], None] = lambda: None,
    *,
    rules: SelectionRules | None = None,
    workers: int = 1,
    cash: Decimal = STARTING_CASH,
) -> Contents:
    """Trade the markets of a recording; the ledger is the same whatever the number of processes.

    Parameters
    ----------
    listed : sequence of ListedMarket
        By their start.
    rules : SelectionRules, optional
    workers : int
        Processes.

    Returns
    -------
    Contents
        What was traded and what was left out. It is also the note of the run.

    Raises
    ------
    Fatal
        If a recording cannot be used, or the ledger exists.
    """
    rules = rules or SelectionRules()
    groups = [listed[first : first + GROUP] for first in range(0, len(listed), GROUP)]
    start, limits, contents = Carry(cash=cash, peak=cash), risk_limits(settings), Contents(traded={})
    with RunLedger(ledger_path, cash) as ledger:
        carry = ledger.carry
        for group, played in zip(groups, _played(groups, settings, rules, start, workers), strict=True):
            if isinstance(played, Failed):
                raise Fatal(played.message, played.next_step)
            contents = contents.joined(played.contents, one_era=rules.era is None)
            result = played.result
            if result is not None and not result.valid_after(carry, limits):
                again = _play(group, settings, rules, carry)
                assert isinstance(again, Played)
                result = again.result
            if result is not None:
                carry = ledger.add(result, carry, advance)
        ledger.complete(contents.note)
    return contents


def _played(
    groups: Sequence[Sequence[ListedMarket]],
    settings: Settings,
    rules: SelectionRules,
    start: Carry,
    workers: int,
) -> Iterator[Played | Failed]:
    """The results of the groups in their order."""
    if workers == 1:
        for group in groups:
            yield _play(group, settings, rules, start)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from _in_order(pool, groups, settings, rules, start, workers * AHEAD)


def _in_order(
    pool: Executor,
    groups: Sequence[Sequence[ListedMarket]],
    settings: Settings,
    rules: SelectionRules,
    start: Carry,
    ahead: int,
) -> Iterator[Played | Failed]:
    waiting: deque[Future[Played | Failed]] = deque()
    try:
        for group in groups:
            waiting.append(pool.submit(_play, group, settings, rules, start))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _play(
    group: Sequence[ListedMarket], settings: Settings, rules: SelectionRules, carry: Carry
) -> Played | Failed:
    selection = rules.select(group, settings)
    try:
        markets = list(selection)
        result = play_group(markets, settings, carry, rules.delay_ns) if markets else None
    except Fatal as error:
        # An error of its own class cannot be sent between processes.
        return Failed(message=error.args[0], next_step=error.next_step)
    return Played(contents=selection.contents, result=result)
