"""Invalid values and frames that a client must reject, put into messages by armed faults."""

from typing import Any

import msgspec

from venue.connections import Connection
from venue.faults import Faults
from venue.mutations import INVALID, mutated_text

Event = dict[str, Any]


def damaged(faults: Faults, feed: str, event: Event) -> Event | msgspec.Raw:
    """The event as changed by an armed fault of its feed, which is consumed; otherwise the event itself."""
    random = faults.mutation(f"{feed}_feed_mutated")
    if random is not None:
        return msgspec.Raw(mutated_text(event, random, INVALID).encode())
    fault = f"{feed}_feed_value"
    armed = faults.armed(fault)
    if armed is None or armed["event"] not in ("", event["event_type"]):
        return event
    bad = with_value(event, armed["field"], value_of(armed))
    if bad is event:
        return event
    faults.consume(fault)
    return bad


def value_of(parameters: dict[str, Any]) -> str | msgspec.Raw:
    """The value that a fault puts into a message: a JSON string, or the bare text if `raw`."""
    text: str = parameters["value"]
    return msgspec.Raw(text.encode()) if parameters["raw"] else text


def with_value(content: Any, field: str, value: Any) -> Any:
    """JSON content with a field's value replaced wherever it occurs; unchanged if it does not occur."""
    if isinstance(content, dict):
        new = {k: value if k == field else with_value(v, field, value) for k, v in content.items()}
        return new if any(new[key] is not content[key] for key in new) else content
    if isinstance(content, list):
        rows = [with_value(row, field, value) for row in content]
        return rows if any(a is not b for a, b in zip(rows, content, strict=True)) else content
    return content


def nested(depth: int) -> str:
    """JSON arrays nested to the given depth."""
    return "[" * depth + "]" * depth


def send_stray(faults: Faults, feed: str, connections: list[Connection]) -> None:
    """Send the frame of the fault `stray_frame` to a feed's connections, if there are any."""
    armed = faults.armed("stray_frame")
    if armed is None or armed["feed"] != feed or not connections:
        return
    faults.consume("stray_frame")
    text = nested(armed["depth"]) if armed["depth"] else armed["text"]
    for connection in connections:
        connection.send(text)
