"""Settles a ledger's pending markets, as a worker does, and dies by SIGKILL at a numbered write step.

Arguments: a folder, the step to die at (0: none), the pUSD that the venue holds. Every other market is won by
Up. Steps are numbered in order: before and after each COMMIT of the ledger, before and after each replaced
file. Prints their number.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from config import Settings
from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger import writer as ledger_writer
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.settlement.bookkeeping import SettlementBookkeeper
from models import Outcome, Settlement
from paper_trading import export_paper_trades, paper_trades
from runtime.worker.weight_learning import WeightLearning


class Steps:
    """Counts the steps, and ends the process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.count = 0
        self._fatal = fatal

    def take(self) -> None:
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count a step before and after every COMMIT and every replaced file."""
        transaction, replace = ledger_writer.transaction, Path.replace

        @contextmanager
        def counted(connection: Any, path: Path, *more: Any) -> Iterator[Any]:
            with transaction(connection, path, *more) as db:
                yield db
                self.take()
            self.take()

        def replaced(path: Path, target: Any) -> Path:
            self.take()
            done = replace(path, target)
            self.take()
            return done

        ledger_writer.transaction = counted
        Path.replace = replaced  # pyright: ignore[reportAttributeAccessIssue]


async def settle(folder: Path, steps: Steps, balance: Decimal) -> None:
    """The steps of a worker from its start to the end of the last settlement."""
    path = folder / "ledger.sqlite"
    settings = Settings(learning_trigger_interval=1, learning_min_trades=1, learning_rate=1.0)
    failures: list[BaseException] = []
    thread = LedgerThread(failures.append)
    ledger = await thread.call(Ledger, path)
    steps.watch()
    await thread.call(
        lambda: ledger.open_run(
            mode=Mode.SIMULATION, venue=Venue.RECORDED, clock_speed=15, starting_cash=balance
        )
    )
    reader = await thread.call(LedgerReader, path)
    bookkeeper = SettlementBookkeeper(
        ledger, reader, thread, lambda: balance, pays_by_itself=True, observe_orders=lambda: lambda: True
    )
    learner = WeightLearning(settings, folder, False, ledger, reader, thread)
    await bookkeeper.record_old_payouts()
    await learner.learn()
    export = folder / "paper_trades.json"
    for market in await thread.call(reader.pending_markets):
        now = time.time_ns()
        winner = Outcome.UP if market.start // market.interval % 2 else Outcome.DOWN
        await bookkeeper.settle(market, Settlement(market.slug, winner, "gamma", now))
        await thread.call(lambda: export_paper_trades(paper_trades(reader), export))
        await bookkeeper.check_cash()
        await learner.learn()
    await thread.call(lambda: export_paper_trades(paper_trades(reader), export))
    await bookkeeper.check_cash()
    for closing in (ledger.close_run, reader.close, ledger.close):
        await thread.call(closing)
    thread.close()
    assert not failures, failures


def main() -> None:
    folder, fatal, balance = Path(sys.argv[1]), int(sys.argv[2]), Decimal(sys.argv[3])
    steps = Steps(fatal)
    asyncio.run(settle(folder, steps, balance))
    print(steps.count)


if __name__ == "__main__":
    main()
