"""The mode store: one key in Redis that an operator switches and the bot asks at every decision."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
SHOWN = 20
"""Characters of a foreign value that are repeated to the operator."""


class Endpoint(Frozen, frozen=True):
    """Where a Redis listens."""

    host: str
    port: int
    db: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.db}"


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
    """One Redis, asked for one key. Every question takes a bounded time and none raises. Thread-safe.

    Parameters
    ----------
    endpoint : Endpoint
    timeout_s : float
        For the connection and for the answer, each.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float = TIMEOUT_S) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s

    def read(self) -> Reading:
        """What the store says at this instant."""
        try:
            with self._connected() as client:
                value: Any = client.get(KEY)
        except Exception as error:  # noqa: BLE001  a hostile server can make the client raise anything
            return Reading(Says.LOST, f"the mode store at {self.endpoint} gave no answer: {_words(error)}")
        if value is None:
            return Reading(Says.UNSET, "the mode store has no word on the mode")
        for mode, stored in VALUES.items():
            if value == stored:
                return Reading(Says(mode.value), f"the mode store says {mode}")
        return Reading(Says.GARBAGE, f"the mode store holds {_shown(value)}, which is neither 1 nor 0")

    def write(self, mode: Mode) -> None:
        """Set the mode.

        Raises
        ------
        Temporary
            If the store did not confirm it.
        """
        try:
            with self._connected() as client:
                client.set(KEY, VALUES[mode])
        except Exception as error:  # noqa: BLE001  as above
            raise Temporary(
                f"the mode store at {self.endpoint} did not take {mode}: {_words(error)}"
            ) from None

    def answers(self) -> bool:
        """Whether a Redis that takes commands is there."""
        return self.read().says is not Says.LOST

    @contextmanager
    def _connected(self) -> Iterator[redis.Redis]:
        # A connection for each question: nothing half-read from an earlier one can be taken for an answer.
        client = redis.Redis(
            host=self.endpoint.host,
            port=self.endpoint.port,
            db=self.endpoint.db,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="btc-15m-bot",
        )
        # The timeouts are for each byte that arrives; the watchdog is for all of them together.
        watchdog = threading.Timer(BOUND_S, client.connection_pool.disconnect)
        watchdog.start()
        try:
            yield client
        finally:
            watchdog.cancel()
            client.close()
            client.connection_pool.disconnect()


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {_shown(str(error))}"
