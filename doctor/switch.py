"""The mode store: whether there is one, and what it would let this run do."""

from collections.abc import Iterator
from pathlib import Path

from control.embedded import FoundStore
from control.gate import decide_mode
from control.memory import Memory
from control.store import Reading, Says
from doctor.finding import Finding, fail, ok, warn
from execution.ledger import Mode

NOTHING = Reading(Says.LOST, "there is none")


def mode_store(found: FoundStore, memory: Path, live: bool) -> Iterator[Finding]:
    """Where the mode is kept, and which one a live run would start in."""
    reading = NOTHING if found.store is None else found.store.read()
    if found.store is None or reading.says is Says.LOST:
        words = f"{found.words}: {reading.detail}" if found.store else found.words
        if live:
            yield fail(
                "mode store", words, "Start a Redis where REDIS_HOST and REDIS_PORT say, or install one"
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
        store=found.store.endpoint.name,
    )
    if verdict.mode is Mode.LIVE:
        yield ok("mode", f"would be live, once armed: {verdict.why}")
    else:
        yield warn(
            "mode", f"would be simulation: {verdict.why}", "To trade live: python redis_control.py live"
        )
