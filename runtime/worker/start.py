"""Runs the node: limits how long its strategy takes to start, and sends heartbeats from its event loop."""

import asyncio
import os
import sys
import threading
import time

from nautilus_trader.live.node import TradingNode

from common.beats import next_beat
from common.constants import ExitCode
from common.plain_text import one_line
from runtime.worker.heartbeat import Heartbeat

STOP_LIMIT_S = 3.0
"""Longest orderly stop of a node whose strategy did not start."""
BEAT_S = 1.0
LOOK_S = 0.05
NEXT_STEP = "details are in logs/nautilus"
LONGEST_REASON = 200
"""Characters of a library's error that are shown; it may quote a whole request."""


class StartLimit:
    """Ends a start that cannot succeed.

    NautilusTrader does not end when a client cannot connect: without this limit the process would run forever
    without a strategy. Before the event loop runs, a thread ends the process at the limit; afterwards
    `run_node` does, as soon as a client has failed to connect.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.started = False
        self._failures: dict[str, list[str]] = {}
        self._deadline = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._end_process)
        self._timer.daemon = True
        self._timer.start()

    @property
    def failed(self) -> bool:
        """Whether the strategy cannot start any more, or is late."""
        return not self.started and (bool(self._failures) or time.monotonic() > self._deadline)

    def loop_runs(self) -> None:
        """Record that the event loop runs: from now on it checks `failed`."""
        self._timer.cancel()

    def strategy_started(self) -> None:
        self.started = True

    def connect_failed(self, client: str, error: Exception) -> None:
        """Record that a client did not connect; NautilusTrader does not try again."""
        self._failures.setdefault(one_line(str(error) or type(error).__name__, LONGEST_REASON), []).append(
            client
        )

    def why(self, connected: dict[str, bool]) -> str:
        """Why the strategy did not start, in one line.

        Parameters
        ----------
        connected : dict
            Whether each of the node's clients is connected, by name.
        """
        if self._failures:
            return "the strategy cannot start, no connection for " + "; ".join(
                f"{' and '.join(clients)}: {why}" for why, clients in self._failures.items()
            )
        missing = " and ".join(name for name, up in connected.items() if not up)
        detail = f"no connection for {missing}" if missing else "all clients are connected"
        return f"the strategy did not start within {self.seconds:g} s, {detail}; {NEXT_STEP}"

    def _end_process(self) -> None:
        sys.stderr.write(f"error: the worker was not ready within {self.seconds:g} s; {NEXT_STEP}\n")
        sys.stderr.flush()
        # The main thread is blocked in a call that does not return. No order was sent, and the ledger is
        # safe.
        os._exit(ExitCode.UNAVAILABLE)


def run_node(node: TradingNode, limit: StartLimit, heartbeat: Heartbeat) -> str | None:
    """Run a built node until it is stopped; returns why its strategy did not start, None if it did."""
    return node.kernel.loop.run_until_complete(_run(node, limit, heartbeat))


async def _run(node: TradingNode, limit: StartLimit, heartbeat: Heartbeat) -> str | None:
    limit.loop_runs()
    beats = asyncio.create_task(_send_heartbeats(heartbeat))
    running = asyncio.create_task(node.run_async())
    try:
        if await _starts(node, running, limit):
            await running
            return None
        why = limit.why(_connected(node)) if limit.failed else None
        if why is not None:
            await asyncio.wait({asyncio.create_task(node.stop_async())}, timeout=STOP_LIMIT_S)
        # A node that is stopped while it connects would continue to wait for its clients.
        running.cancel()
        await asyncio.wait({running}, timeout=STOP_LIMIT_S)
        return why
    finally:
        beats.cancel()


async def _starts(node: TradingNode, running: asyncio.Task[None], limit: StartLimit) -> bool:
    """Wait until the strategy has started or the node has ended; False if it will not start."""
    while not (running.done() or limit.started):
        await asyncio.wait({running}, timeout=LOOK_S)
        if limit.failed or not node.kernel.is_running():
            return False
    return True


def _connected(node: TradingNode) -> dict[str, bool]:
    kernel = node.kernel
    return {
        "market data": kernel.data_engine.check_connected(),
        "orders": kernel.exec_engine.check_connected(),
    }


async def _send_heartbeats(heartbeat: Heartbeat) -> None:
    while True:
        heartbeat.heartbeat()
        await next_beat(BEAT_S)
