"""The mode store: whether it can be read, and what it would let this run do."""

from collections.abc import Iterator
from pathlib import Path

from control.gate import decide_mode
from control.memory import Memory
from control.running import FoundStore
from control.store import Says
from doctor.finding import Finding, fail, ok, warn
from execution.ledger import Mode


def mode_store(found: FoundStore, memory: Path, live: bool) -> Iterator[Finding]:
    """Where the mode is kept, and which one a live run would start in."""
    reading = found.store.read()
    if reading.says is Says.LOST:
        words = f"{found.words}: {reading.detail}"
        if live:
            yield fail(
                "mode store",
                words,
                "Let it be read again, or start a Redis at REDIS_HOST and REDIS_PORT, before the bot",
            )
        else:
            yield ok("mode store", f"{words}; simulation needs none")
        return
    yield ok("mode store", f"{found.words}: {reading.detail}")
    if not live:
        return
    verdict = decide_mode(
        live_flag=True,
        armed=True,
        reading=reading,
        last=Memory(memory).recall(),
        store=found.store.name,
    )
    if verdict.mode is Mode.LIVE:
        yield ok("mode", f"would be live, once armed: {verdict.why}")
    else:
        yield warn(
            "mode", f"would be simulation: {verdict.why}", "To trade live: python redis_control.py live"
        )
