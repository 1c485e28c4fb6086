"""Ends a run: its exit code, the message that announces it, and the request to Nautilus to shut down."""

from collections.abc import Callable

from loguru import logger

from common.constants import ExitCode
from events import Stopped
from execution.ledger import LedgerLocked
from runtime.worker.observers import ObserverGroup


class RunControl:
    """Stops the worker once, and stores the result for the supervisor.

    Parameters
    ----------
    observers : ObserverGroup
        Receive `Stopped`.
    done : int
        Markets that earlier workers of the same run have settled.
    """

    def __init__(self, observers: ObserverGroup, done: int) -> None:
        self.exit_code = ExitCode.DONE
        self.settled = done
        self.stop_announced = False
        self._observers = observers
        self._shutdown: Callable[[str], None] = lambda reason: None
        self._halt: Callable[[str], None] = lambda why: None

    def connect(self, shutdown: Callable[[str], None], halt: Callable[[str], None]) -> None:
        """Set the functions that end the node and halt trading; both exist only once the node is built."""
        self._shutdown, self._halt = shutdown, halt

    def stop(self, code: ExitCode, why: str) -> None:
        """End the node, from any thread; the first reason counts."""
        if self.exit_code is ExitCode.DONE:
            self.exit_code = code
        logger.info(f"stopping: {why}")
        self.stop_announced = True
        failed = code in (ExitCode.CRASHED, ExitCode.FATAL)
        self._observers.handle(Stopped(why=why, restarts=code is ExitCode.RESTART, failed=failed))
        self._shutdown(why)

    def not_started(self, why: str, *, announce: bool) -> None:
        """The strategy did not start; the supervisor starts another. `announce` sends a notification."""
        self.exit_code, self.stop_announced = ExitCode.UNAVAILABLE, True
        self._observers.print_message(f"error: {why}")
        self._observers.handle(Stopped(why=why, restarts=True, failed=announce))

    def ledger_failed(self, error: BaseException) -> None:
        """Halt and end the worker: without a ledger no order may be sent.

        A database lock held by another program, on which a stopping worker gives up, does not halt trading.
        """
        logger.opt(exception=error).error("the ledger failed")
        if not isinstance(error, LedgerLocked):
            self._halt(str(error))
        self.stop(ExitCode.CRASHED, f"the ledger failed: {error}")

    def internal_error(self, task: str, error: BaseException) -> None:
        """Halt after an unexpected error; the worker continues to settle its positions."""
        logger.opt(exception=error).error(f"{task} failed")
        self._halt(f"internal error: {error!r}; details are in the log")
