"""The venue facts as text, shared by the terminal view, the HTML report and the preflight checks."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from common.plain_text import one_line
from execution.ledger import LIVE_PROFILE
from execution.venue_facts.store import POLYMARKET, PRACTICE, FactRow, FactSighting, FactStatus

VENUE_NAMES = {POLYMARKET: "Polymarket", PRACTICE: "the practice venue"}
SHOWN_RAW = 400
"""Characters of a raw message on the terminal; the state folder has all of it."""


def venue_of(profile: str | None) -> str:
    """The section with the evidence of a profile's markets."""
    return POLYMARKET if profile in (None, LIVE_PROFILE, POLYMARKET) else PRACTICE


def summary(rows: Sequence[FactRow], venue: str) -> str:
    """The number of assumptions by status."""
    count = Counter(row.record.status for row in rows)
    return f"{VENUE_NAMES[venue]}: " + ", ".join(f"{count[status]} {status}" for status in FactStatus)


def money_contradictions(rows: Sequence[FactRow]) -> list[FactRow]:
    """The contradicted assumptions that halt live trading."""
    return [row for row in rows if row.fact.money and row.record.status is FactStatus.CONTRADICTED]


def sighting_text(row: FactRow) -> str:
    """When it was decided, by what; or what would be needed."""
    found, record = row.record.sighting, row.record
    if found is None:
        return f"needs: {row.fact.evidence}"
    if record.contradicted is None:
        return f"{_when(found, record.confirmations)}: {found.seen}"
    return f"{_when(found, record.contradictions)}: expected {found.expected}, came {found.seen}"


def raw_text(found: FactSighting | None) -> str:
    """The raw message, shortened for a terminal."""
    return "" if found is None else one_line(found.raw, SHOWN_RAW)


def _when(found: FactSighting, times: int) -> str:
    moment = datetime.fromtimestamp(found.ts_ns // 10**9, UTC)
    often = "" if times == 1 else f", {times} times"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {found.profile}{often}"
