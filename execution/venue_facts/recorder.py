"""Collects the evidence of a running worker. No failure here reaches the code that reports an observation."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from loguru import logger

from execution.venue_facts import store
from execution.venue_facts.facts import VenueFact, judge
from execution.venue_facts.judges import Judgement
from execution.venue_facts.observations import Observation
from execution.venue_facts.store import FactRecord, Records, contradiction_text
from models import Frozen

MOST_WAITING = 1000
"""Judgements that wait for the writing thread; further ones are counted and dropped."""
CLOSE_LIMIT_S = 2.0
QUIET_S = 60.0
"""Time between two writes that only count further observations of the same kind."""

Observe = Callable[[Observation], None]
"""Reports an observation; returns at once and never raises."""


def ignore(observation: Observation) -> None:
    """Discards the report: for a client that is used without a worker."""
    del observation


class _Job(Frozen, frozen=True):
    """A judgement to store; None: trading was halted for the assumption."""

    venue: str
    fact: VenueFact
    judgement: Judgement | None
    ts_ns: int


class FactRecorder:
    """Judges observations at once, and writes the evidence on a thread of its own.

    Parameters
    ----------
    state_dir : Path
        Folder of the file.
    profile : str
        Trading profile, stored with each sighting.
    secrets : iterable of str
        Values that must not be stored.
    halt : Callable[[str], None] or None
        Halts trading with a reason; None where a contradiction does not halt: in simulation.
    now_ns : Callable[[], int]
        This machine's clock.
    """

    def __init__(
        self,
        state_dir: Path,
        profile: str,
        secrets: Iterable[str] = (),
        halt: Callable[[str], None] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._state_dir = state_dir
        self._profile = profile
        self._secrets = tuple(secrets)
        self._halt = halt
        self._now_ns = now_ns
        self._records: Records = {}
        self._waiting: queue.Queue[_Job | None] = queue.Queue(MOST_WAITING)
        self._failures = 0
        self._venues: dict[str, None] = {}
        self._thread = threading.Thread(target=self._run, name="venue-facts", daemon=True)

    def start(self) -> None:
        """Read the file, halt for what earlier runs found at the observed venues, and start writing."""
        self._records = store.load(self._state_dir)
        for venue in self._venues:
            for row in store.rows(self._records, venue):
                found = row.record.contradicted
                if self._halt is not None and row.fact.money and row.record.halt_due and found is not None:
                    self._halt(contradiction_text(row.fact, found.expected, found.seen))
                    self._put(_Job(venue, row.fact, None, self._now_ns()))
        self._thread.start()

    def close(self) -> None:
        """Write what waits; a start that failed has nothing to write."""
        if self._thread.is_alive():
            self._put(None)
            self._thread.join(CLOSE_LIMIT_S)

    def observer(self, venue: str) -> Observe:
        """The function that reports observations of one venue; may be called on any thread."""

        self._venues[venue] = None

        def observe(observation: Observation) -> None:
            try:
                self._judge(venue, observation)
            except Exception as error:  # noqa: BLE001  an observation must never stop trading
                self._note(f"{type(observation).__name__}: {type(error).__name__}: {error}")

        return observe

    def _judge(self, venue: str, observation: Observation) -> None:
        for fact, judgement in judge(observation):
            if self._halt is not None and fact.money and not judgement.holds:
                self._halt(contradiction_text(fact, judgement.expected, judgement.seen))
            self._put(_Job(venue, fact, judgement, self._now_ns()))

    def _put(self, job: _Job | None) -> None:
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            self._note("more observations than can be written")

    def _note(self, what: str) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning(f"the venue facts miss an observation: {what}; trading goes on")

    def _run(self) -> None:
        written_s, changed = time.monotonic(), False
        while (job := self._waiting.get()) is not None:
            try:
                urgent = self._store(job)
            except Exception as error:  # noqa: BLE001  a message of any content ends no thread
                self._note(f"{job.fact.id}: {type(error).__name__}: {error}")
                continue
            changed = True
            if urgent or time.monotonic() - written_s > QUIET_S:
                store.save(self._state_dir, self._records)
                written_s, changed = time.monotonic(), False
        if changed:
            store.save(self._state_dir, self._records)

    def _store(self, job: _Job) -> bool:
        """Update the record of an assumption; returns whether it has to be written now."""
        section = self._records.setdefault(job.venue, {})
        known = section.get(job.fact.id, FactRecord())
        if job.judgement is None:
            section[job.fact.id] = msgspec.structs.replace(known, halted_ns=job.ts_ns)
            return True
        seen = store.sighting(job.judgement, job.ts_ns, self._profile, self._secrets)
        record = known.with_sighting(seen, holds=job.judgement.holds)
        if not job.judgement.holds and job.fact.money and self._halt is not None:
            record = msgspec.structs.replace(record, halted_ns=job.ts_ns)
        section[job.fact.id] = record
        return record.status is not known.status or not job.judgement.holds


def collect(
    state_dir: Path, profile: str, found: Iterable[tuple[str, Observation]], secrets: Iterable[str] = ()
) -> None:
    """Add observations to the file at once; for a command that holds the state folder's lock."""
    recorder = FactRecorder(state_dir, profile, secrets)
    recorder.start()
    for venue, observation in found:
        recorder.observer(venue)(observation)
    recorder.close()
