"""No message of the user stream ends the process, reaches the screen or changes the ledger.

NautilusTrader ends the process at an id with a non-ASCII character, and logs a traceback for unusable
messages.
"""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger

from models import OrderState

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

IN_NO_FIELD = ("", "\x1b[2J\x07\u202e\r\nx", "é", "x" * 5000, None, 7, ["x"], True)
NO_NUMBERS = (*IN_NO_FIELD, "NaN", "-1", "1e400", "0x1")
NUMBERS = ("price", "size", "match_time", "timestamp", "original_size", "size_matched", "matched_amount")
UNKNOWN = {"id": "0x" + "ab" * 32, "taker_order_id": "0x" + "cd" * 32}
"""Ids of an order that is not this bot's, such as a manual one with the same wallet."""


def places(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in decoded JSON."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


def with_value(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of decoded JSON with another value at a path."""
    changed = json.loads(json.dumps(content))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


async def test_no_value_of_any_field_does_harm(rig, attempt, capfd):
    """Each bad value in every field of every kind of message, of the bot's own order and of another one."""
    records: list[str] = []
    sink = logger.add(lambda message: records.append(message.record["message"]))
    stream = rig.execution_client._stream._socket
    received: list[Any] = []
    handle = stream._handler
    stream._handler = lambda raw: (received.append(json.loads(raw)), handle(raw))
    ask = rig.asks()[0][0]
    attempt.follow_orders()
    await attempt.decide(ask, ask + Decimal("0.02"))
    await attempt.until(lambda: any(message["status"] == "CONFIRMED" for message in received))
    stream._handler = handle
    kinds = {(message["event_type"], message["status"]): message for message in received}
    assert set(kinds) == {("order", "MATCHED"), *(("trade", s) for s in ("MATCHED", "MINED", "CONFIRMED"))}

    sent, before = 0, stream._refused.count
    for kind in kinds.values():
        for message in (kind, kind | {key: other for key, other in UNKNOWN.items() if key in kind}):
            for path in places(message):
                for value in NO_NUMBERS if path[-1] in NUMBERS else IN_NO_FIELD:
                    stream._handle_frame(json.dumps(with_value(message, path, value)).encode())
                    sent += 1
                await asyncio.sleep(0)
    assert sent > 1500
    assert stream._refused.count - before > sent / 2
    lines = [record for record in records if "messages refused" in record]
    assert len(lines) == 1
    assert lines[0].isprintable()

    await attempt.until(attempt.closed)
    assert await attempt.written() == [OrderState.MATCHED]
    assert attempt.engine.halted is None
    await attempt.balanced()
    logger.remove(sink)
    shown = capfd.readouterr()
    assert not [word for word in ("Traceback", "[ERROR]", "\x1b[2J") if word in shown.out + shown.err]
