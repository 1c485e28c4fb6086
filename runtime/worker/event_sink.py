"""Delivers the domain events of a worker to its observers and updates the trade export."""

from pathlib import Path

from events import Event, Filled, OrderMoved
from execution.ledger import LedgerReader
from execution.ledger_thread import LedgerThread
from models import OrderState
from paper_trading import export_paper_trades, paper_trades
from runtime.worker.observers import ObserverGroup


class EventSink:
    """Publishes events.

    Parameters
    ----------
    observers : ObserverGroup
    thread, reader
        The ledger's thread and its reader.
    export : Path or None
        Path of the paper trade export; None for a profile without an export.
    """

    def __init__(
        self, observers: ObserverGroup, thread: LedgerThread, reader: LedgerReader, export: Path | None
    ) -> None:
        self._observers = observers
        self._thread = thread
        self._reader = reader
        self._path = export

    def publish(self, event: Event) -> None:
        """Deliver an event; a new, changed or reversed fill is exported."""
        self._observers.handle(event)
        if isinstance(event, Filled) or (
            isinstance(event, OrderMoved) and event.state is OrderState.REVERSED
        ):
            self.export_soon()

    def export_soon(self) -> None:
        """Rewrite the export once no order may follow, which would wait for it."""
        self._thread.post_deferred("paper trades", self.export)

    async def catch_up(self) -> None:
        """Export what an earlier process may have missed if it ended between the ledger and the export."""
        if await self._thread.call(self._reader.traded_slugs):
            self._thread.post(self.export)

    def export(self) -> None:
        """Rewrite the export; called on the ledger's thread."""
        if self._path is None:
            return
        # A trade that could not be written now is written by the next export: the ledger contains it.
        trades = paper_trades(self._reader)
        self._observers.isolation.call("paper trades", export_paper_trades, trades, self._path)
