"""Checks of the mode store: whether it can be read, and which mode this run would start in."""

from collections.abc import Iterator
from pathlib import Path

from control.last_mode_switch import LastModeSwitchFile
from control.mode_gate import decide_mode
from control.mode_store import ModeValue
from control.running import FoundStore
from execution.ledger import Mode
from runtime.doctor.finding import Finding, fail, ok, warn


def mode_store(found: FoundStore, memory: Path, live: bool) -> Iterator[Finding]:
    """Report where the mode is stored, and the mode that a live run would start in."""
    reading = found.store.read()
    if reading.value is ModeValue.LOST:
        text = f"{found.description}: {reading.detail}"
        if live:
            yield fail(
                "mode store",
                text,
                "Make it readable, or start a Redis at REDIS_HOST and REDIS_PORT, before the bot",
            )
        else:
            yield ok("mode store", f"{text}; simulation does not need it")
        return
    yield ok("mode store", f"{found.description}: {reading.detail}")
    if not live:
        return
    mode_decision = decide_mode(
        live_flag=True,
        armed=True,
        reading=reading,
        last=LastModeSwitchFile(memory).load(),
        store=found.store.name,
    )
    if mode_decision.mode is Mode.LIVE:
        yield ok("mode", f"would be live, once armed: {mode_decision.why}")
    else:
        yield warn(
            "mode", f"would be simulation: {mode_decision.why}", "To trade live: python redis_control.py live"
        )
