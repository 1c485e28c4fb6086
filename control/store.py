"""The mode store: one key in Redis that an operator switches and the bot asks at every decision."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from errors import Temporary
from execution.ledger import Mode
from models import Frozen

KEY = "btc_trading:simulation_mode"
"""`1` simulation, `0` live, absent: as started."""
VALUES = {Mode.SIMULATION: b"1", Mode.LIVE: b"0"}
TIMEOUT_S = 0.25
"""Longest wait for each step of a question; an order waits for the answer."""
BOUND_S = 1.0
"""Longest a whole question may take, however the answer is dragged out."""
SHOWN = 80
"""Characters of a foreign value that are looked at and repeated to the operator."""
OWN = "the bot's own Redis"


class Endpoint(Frozen, frozen=True):
    """Where a Redis listens; `own` if it is the one that the bot runs for itself, on a port of the day."""

    host: str
    port: int
    db: int = 0
    own: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.db}"

    @property
    def name(self) -> str:
        """What tells this store from others, also after a restart."""
        return OWN if self.own else str(self)


class Says(StrEnum):
    """What the store says. Whatever is not exactly `0` is no leave to trade live."""

    SIMULATION = "simulation"
    LIVE = "live"
    UNSET = "unset"
    GARBAGE = "garbage"
    LOST = "lost"


class Reading(Frozen, frozen=True):
    """One answer, and in words what was there."""

    says: Says
    detail: str


class ModeStore:
    """One Redis, asked for one key. Every question takes at most BOUND_S. Thread-safe.

    Parameters
    ----------
    endpoint : Endpoint
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def read(self) -> Reading:
        """What the store says at this instant; never raises."""
        try:
            return self._ask(_look)
        except Exception as error:  # noqa: BLE001  a hostile server can make the client raise anything
            return Reading(Says.LOST, f"the mode store at {self.endpoint} gave no answer: {_words(error)}")

    def write(self, mode: Mode) -> None:
        """Set the mode.

        Raises
        ------
        Temporary
            If the store does not show it afterwards.
        """

        def put(client: redis.Redis) -> Reading:
            client.set(KEY, VALUES[mode])
            return _look(client)

        try:
            kept = self._ask(put)
        except Exception as error:  # noqa: BLE001  as above
            raise Temporary(
                f"the mode store at {self.endpoint} did not take {mode}: {_words(error)}"
            ) from None
        if kept.says.value != mode.value:
            raise Temporary(f"the mode store at {self.endpoint} did not keep {mode}: {kept.detail}")

    def answers(self) -> bool:
        """Whether a Redis that takes commands is there."""
        return self.read().says is not Says.LOST

    def _ask[Answer](self, question: Callable[[redis.Redis], Answer]) -> Answer:
        # A connection for each question: nothing half-read from an earlier one can be taken for an answer.
        client = redis.Redis(
            host=self.endpoint.host,
            port=self.endpoint.port,
            db=self.endpoint.db,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="btc-15m-bot",
        )
        answer: Future[Answer] = Future()

        def ask() -> None:
            try:
                answer.set_result(question(client))
            except Exception as error:  # noqa: BLE001  handed to whoever asked
                answer.set_exception(error)
            finally:
                client.close()

        # The client's timeouts are for each step and each byte, and a name server knows none at all: a thread
        # that can be left behind is what bounds all of them together.
        threading.Thread(target=ask, name="mode-store", daemon=True).start()
        try:
            return answer.result(BOUND_S)
        except TimeoutError:
            client.connection_pool.disconnect()
            raise


def _look(client: redis.Redis) -> Reading:
    try:
        # Its beginning is enough: a value may be half a gigabyte long.
        beginning: Any = client.getrange(KEY, 0, SHOWN)
        if beginning == b"" and client.exists(KEY) == 0:
            return Reading(Says.UNSET, "the mode store has no word on the mode")
    except redis.ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        return Reading(Says.GARBAGE, "the mode store holds no text, but something else than 1 or 0")
    for mode, stored in VALUES.items():
        if beginning == stored:
            return Reading(Says(mode.value), f"the mode store says {mode}")
    return Reading(Says.GARBAGE, f"the mode store holds {_shown(beginning)}, which is neither 1 nor 0")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _words(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {_shown(text)[1:-1]}" if text else f"nothing whole within {BOUND_S:g} s"
