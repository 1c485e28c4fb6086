"""The evidence about each assumption, by venue, in one file of the state folder.

What the practice venue shows is no evidence of Polymarket: each has its own section.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from common.atomic_file import write_atomically
from common.plain_text import one_line
from errors import Temporary
from execution.venue_facts.facts import FACTS, VenueFact
from execution.venue_facts.judges import Judgement
from models import Frozen

FACTS_FILE = "venue_facts.json"
"""In the state folder: paper and live runs of the same venue complete each other."""
POLYMARKET = "polymarket"
PRACTICE = "practice"
DOMAIN = "polymarket.com"
LONGEST_RAW = 2000
LONGEST_TEXT = 300
DEEPEST = 12
"""Nesting of a raw message that is kept."""
SECRET_NAMES = frozenset(
    ("apikey", "api_key", "secret", "passphrase", "signature", "owner", "order_owner", "trade_owner", "ip")
)
"""Fields of messages that identify the API key or this machine."""
HIDDEN = "(removed)"


class FactStatus(StrEnum):
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_SEEN = "not seen yet"


class FactSighting(Frozen, frozen=True):
    """One observation that decided an assumption: `raw` is the message as JSON text, without secrets."""

    ts_ns: int
    profile: str
    seen: str
    expected: str
    raw: str


class FactRecord(Frozen, frozen=True):
    """Everything that is known about one assumption at one venue.

    The first confirmation and the last contradiction are kept, with the number of each. A contradiction is
    not lifted by a later confirmation.
    """

    confirmed: FactSighting | None = None
    confirmations: int = 0
    contradicted: FactSighting | None = None
    contradictions: int = 0
    halted_ns: int = 0
    """When trading was halted for it last."""

    @property
    def status(self) -> FactStatus:
        if self.contradicted is not None:
            return FactStatus.CONTRADICTED
        return FactStatus.NOT_SEEN if self.confirmed is None else FactStatus.CONFIRMED

    @property
    def sighting(self) -> FactSighting | None:
        """The observation that decides the status."""
        return self.contradicted or self.confirmed

    @property
    def halt_due(self) -> bool:
        """Whether it was contradicted since trading was last halted for it."""
        return self.contradicted is not None and self.contradicted.ts_ns > self.halted_ns

    def with_sighting(self, sighting: FactSighting, *, holds: bool) -> "FactRecord":
        """The record with one more observation."""
        if holds:
            first = self.confirmed or sighting
            return msgspec.structs.replace(self, confirmed=first, confirmations=self.confirmations + 1)
        return msgspec.structs.replace(self, contradicted=sighting, contradictions=self.contradictions + 1)


class FactRow(Frozen, frozen=True):
    """An assumption with its record, for a view."""

    fact: VenueFact
    record: FactRecord


Records = dict[str, dict[str, FactRecord]]
"""By venue and id of the assumption."""


class _File(Frozen, frozen=True):
    venues: Records = {}


def venue_name(*urls: str) -> str:
    """The section of a venue: Polymarket only if every URL is one of its own hosts over TLS."""
    parts = [urlsplit(url) for url in urls]
    own = all(
        part.scheme in ("https", "wss")
        and (part.hostname == DOMAIN or str(part.hostname).endswith(f".{DOMAIN}"))
        for part in parts
    )
    return POLYMARKET if own else PRACTICE


def sighting(judgement: Judgement, ts_ns: int, profile: str, secrets: Iterable[str] = ()) -> FactSighting:
    """A judgement as it is stored: one line of text each, without secrets.

    Parameters
    ----------
    secrets : iterable of str
        Values that are removed wherever they occur, beside the fields in `SECRET_NAMES`.
    """
    known = [secret for secret in secrets if secret]
    raw = "" if judgement.raw is None else json.dumps(_public(_plain(judgement.raw)), default=str)
    seen, expected, raw = (_without(text, known) for text in (judgement.seen, judgement.expected, raw))
    return FactSighting(
        ts_ns=ts_ns,
        profile=profile,
        seen=one_line(seen, LONGEST_TEXT),
        expected=one_line(expected, LONGEST_TEXT),
        raw=one_line(raw, LONGEST_RAW),
    )


def _plain(raw: Any) -> Any:
    return msgspec.to_builtins(raw, str_keys=True) if isinstance(raw, msgspec.Struct) else raw


def _public(raw: Any, depth: int = 0) -> Any:
    """Decoded JSON without the fields that identify the API key or this machine."""
    if depth > DEEPEST:
        return "…"
    if isinstance(raw, Mapping):
        return {
            str(name): HIDDEN if str(name).lower() in SECRET_NAMES and value else _public(value, depth + 1)
            for name, value in raw.items()
        }
    if isinstance(raw, list | tuple):
        return [_public(each, depth + 1) for each in raw]
    return raw


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def load(state_dir: Path) -> Records:
    """The records of all venues; none if the file is missing.

    A file that cannot be read is renamed, and its evidence is collected again.
    """
    path = state_dir / FACTS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).venues
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        damaged = path.with_name(f"{path.name}.damaged")
        with suppress(OSError):
            path.replace(damaged)
        _warn(f"{path} cannot be read ({one_line(error)}): kept as {damaged.name}, and started again")
        return {}


def save(state_dir: Path, records: Records) -> None:
    """Write the records of all venues; a failure is logged, and the evidence is written with the next one."""
    content = msgspec.json.format(msgspec.json.encode(_File(venues=records)))
    try:
        write_atomically(state_dir / FACTS_FILE, content, private=True)
    except Temporary as error:
        _warn(f"the venue facts are not stored: {error}")


def _warn(text: str) -> None:
    # Imported here, because it imports asyncio, which a command that only reads does not need.
    from loguru import logger

    logger.warning(text)


def rows(records: Records, venue: str) -> list[FactRow]:
    """Every assumption with its record at one venue."""
    known = records.get(venue, {})
    return [FactRow(fact=fact, record=known.get(fact.id, FactRecord())) for fact in FACTS]


def contradiction_text(fact: VenueFact, expected: str, seen: str) -> str:
    """The reason of a halt: what was expected and what came."""
    what = f"expected {one_line(expected)}, came {one_line(seen)}"
    return f"the venue contradicts {fact.id} ({fact.claim}): {what}"
