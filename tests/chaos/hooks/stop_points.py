"""Names the commands of the order lifecycle and the steps of a settlement and of a worker's end, and stops a
worker before one."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTLEMENT_WRITES = ("record_settlement", "record_redemption", "record_cash_check")
"""The ledger's methods that a settlement calls, in their order."""
REDEMPTION = "redeem"
"""The redeemer's method that requests a redemption; only on the live path."""
STOP, LAST_WRITE = "stop", "close_run"
"""The request to a worker to end, such as a planned restart, and the last write of its ledger."""
WORDS = {"LookUp": "look up", "SetTotal": "set total", "CloseUnfilled": "close unfilled"}


def point_of(command: Any) -> str:
    """The name of a command: its kind, with the rows of a write, and the event of a publication."""
    kind = type(command).__name__
    if kind == "Write":
        return "write " + " and ".join(_row(row) for row in command.rows)
    if kind == "Publish":
        return f"publish {type(command.event).__name__}"
    return WORDS.get(kind, kind.lower())


def _row(row: Any) -> str:
    match type(row).__name__:
        case "OrderEntry":
            return f"order {row.state.value}"
        case "StateEntry":
            return f"state {row.state.value}"
        case "FillEntry":
            return f"fill {row.status.value}"
        case _:
            return "decision"


def stop_at(point: str) -> None:
    """Note the point, and stop this process if it is the wanted one and no worker has stopped there."""
    stopped = Path(os.environ["CHAOS_STOPPED"])
    with open(stopped.with_name("points"), "a") as points:
        points.write(f"{point}\n")
    if point != os.environ["CHAOS_STOP"]:
        return
    try:
        file = os.open(stopped, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    os.write(file, str(os.getpid()).encode())
    os.close(file)
    # To this thread: a signal to the process may interrupt another one, and this one goes on until all are
    # stopped.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def in_engine(engine: type) -> None:
    """Stop before each command that the engine carries out."""
    begin, carry_out_one = engine._begin, engine._carry_out_one
    refusal, look_up = engine.refusal_before_sending, engine._look_up

    def _begin(self: Any, commands: list[Any]) -> Any:
        for command in commands:
            if type(command).__name__ == "Write":
                stop_at(point_of(command))
        return begin(self, commands)

    def _carry_out_one(self: Any, command: Any) -> None:
        # A POST and a look-up are carried out elsewhere; see below.
        if type(command).__name__ not in ("Post", "LookUp"):
            stop_at(point_of(command))
        carry_out_one(self, command)

    def refusal_before_sending(self: Any, client_order_id: str) -> str | None:
        refused = refusal(self, client_order_id)
        if refused is None:
            stop_at("post")
        return refused

    async def _look_up(self: Any, client: Any, asked: Any) -> None:
        stop_at("look up")
        await look_up(self, client, asked)

    engine._begin, engine._carry_out_one = _begin, _carry_out_one
    engine.refusal_before_sending, engine._look_up = refusal_before_sending, _look_up


def in_ledger(ledger: type) -> None:
    """Stop before and after each write of a settlement, and the last write of a worker."""
    for name in (*SETTLEMENT_WRITES, LAST_WRITE):
        setattr(ledger, name, _stopping(name, getattr(ledger, name)))


def in_redeemer(redeemer: type) -> None:
    """Stop before a redemption is requested, and when it is answered."""
    redeemer.redeem = _stopping(REDEMPTION, redeemer.redeem)


def in_run_control(control: type) -> None:
    """Stop before a worker ends itself, and when it has asked Nautilus to shut down."""
    control.stop = _stopping(STOP, control.stop)


def _stopping(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
    def stopping(self: Any, *arguments: Any) -> Any:
        stop_at(f"before {name}")
        written = write(self, *arguments)
        stop_at(f"after {name}")
        return written

    return stopping


class _Watched:
    """A connection during a migration; it stops before the commit of each step."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str) -> Any:
        if statement == "COMMIT":
            (step,) = self._connection.execute("PRAGMA user_version").fetchone()
            stop_at(f"migration: step {step} before its commit")
        return self._connection.execute(statement)


def in_migration(migrate: Callable[[Any], None]) -> Callable[[Any], None]:
    """Stop before the commit of each step of a migration, and after the last one."""

    def stopping(connection: Any) -> None:
        migrate(_Watched(connection))
        stop_at("migration: after the last step")

    return stopping
