"""The evidence in the state folder: by venue, without secrets, safe at a damaged file; and the halt."""

import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_venue_facts import FILL, MATCHED, answered

from errors import Temporary
from execution.venue_facts import store
from execution.venue_facts.observations import CashCompared, Observation, PermissionChecked
from execution.venue_facts.recorder import MOST_WAITING, FactRecorder, collect
from execution.venue_facts.store import FACTS_FILE, FactStatus, load, rows, venue_name

OVERCHARGED = CashCompared(change=Decimal("-0.00002"), fills=(FILL,), venue_cash=Decimal(1))
EXACT = CashCompared(change=Decimal(0), fills=(FILL,), venue_cash=Decimal(1))


def status(folder: Path, venue: str) -> dict[str, FactStatus]:
    """The assumptions that were decided at a venue."""
    found = {row.fact.id: row.record.status for row in rows(load(folder), venue)}
    return {name: value for name, value in found.items() if value is not FactStatus.NOT_SEEN}


def run(folder: Path, *seen: Observation, venue: str = "polymarket", halt: Any = None, **given: Any) -> None:
    """One worker that sees something."""
    recorder = FactRecorder(folder, "live", halt=halt, **given)
    observe = recorder.observer(venue)
    recorder.start()
    for observation in seen:
        observe(observation)
    recorder.close()


@pytest.mark.parametrize(
    ("urls", "venue"),
    [
        (("https://clob.polymarket.com", "wss://ws-subscriptions-clob.polymarket.com/ws/"), "polymarket"),
        (("http://127.0.0.1:8080",), "practice"),
        (("https://clob.polymarket.com", "http://127.0.0.1:8080/gamma"), "practice"),
        (("http://clob.polymarket.com",), "practice"),
        (("https://clob.polymarket.com.example.org",), "practice"),
        (("https://notpolymarket.com",), "practice"),
    ],
)
def test_the_venue_by_its_addresses(urls: tuple[str, ...], venue: str):
    """Only Polymarket's own hosts over TLS are Polymarket, also where a setting names another address."""
    assert venue_name(*urls) == venue


def test_evidence_belongs_to_its_venue(tmp_path: Path):
    """What the practice venue shows is no evidence of Polymarket, and both are kept beside each other."""
    run(tmp_path, EXACT, venue="practice")
    assert status(tmp_path, "polymarket") == {}
    run(tmp_path, answered(200, MATCHED))
    assert set(status(tmp_path, "practice")) == {"fee-rate", "fee-rounding"}
    assert set(status(tmp_path, "polymarket")) >= {"order-id", "minimum-order"}


def test_when_how_often_and_the_message(tmp_path: Path):
    """The first confirmation is kept with its time and message, further ones are counted."""
    run(tmp_path, answered(200, MATCHED), answered(200, MATCHED | {"tradeIDs": ["t2"]}), now_ns=lambda: 77)
    record = load(tmp_path)["polymarket"]["order-id"]
    assert record.confirmations == 2
    assert record.confirmed is not None
    assert (record.confirmed.ts_ns, record.confirmed.profile) == (77, "live")
    assert json.loads(record.confirmed.raw) == MATCHED


def test_a_contradiction_stays(tmp_path: Path):
    """A later confirmation is counted and does not lift it; the last contradiction is kept."""
    run(tmp_path, EXACT, OVERCHARGED, EXACT)
    record = load(tmp_path)["polymarket"]["fee-rate"]
    assert (record.status, record.confirmations, record.contradictions) == (FactStatus.CONTRADICTED, 2, 1)


def test_secrets_are_not_stored(tmp_path: Path):
    """API key, its secret and this machine's address are removed, by field and by value."""
    body = MATCHED | {
        "owner": "key-1",
        "ip": "203.0.113.9",
        "maker_orders": [{"owner": "key-1"}],
        "x": "a key-1 b",
    }
    run(tmp_path, answered(200, body), secrets=("key-1", ""))
    text = (tmp_path / FACTS_FILE).read_text()
    assert "key-1" not in text
    assert "203.0.113.9" not in text
    assert "a (removed) b" in text
    assert (tmp_path / FACTS_FILE).stat().st_mode & 0o077 == 0


def test_money_halts_live_trading(tmp_path: Path):
    """A contradiction about money halts with both amounts; another one does not, nor does a paper run."""
    halts: list[str] = []
    run(tmp_path, OVERCHARGED, halt=halts.append)
    (why,) = halts
    assert why.startswith("the venue contradicts fee-rate")
    assert why.endswith("expected a fee of $0.014 for 1.25 at 0.8, at rate 0.07, came $0.01402 was charged")
    run(tmp_path, answered(200, MATCHED | {"status": "live"}), halt=halts.append)
    assert len(halts) == 1
    run(tmp_path, OVERCHARGED)


def test_a_contradiction_of_a_paper_run_halts_the_next_live_run_once(tmp_path: Path):
    """It halts at the start, not again after the halt was lifted, and again if it is seen again."""
    halts: list[str] = []
    run(tmp_path, OVERCHARGED)
    run(tmp_path, venue="practice", halt=halts.append)
    assert halts == []
    run(tmp_path, halt=halts.append)
    assert len(halts) == 1
    run(tmp_path, halt=halts.append)
    assert len(halts) == 1
    run(tmp_path, OVERCHARGED, halt=halts.append)
    assert len(halts) == 2
    run(tmp_path, halt=halts.append)
    assert len(halts) == 2


def test_an_observer_never_raises_and_never_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Values of any form, an endless queue, a halt that fails and a full disk reach no caller."""

    def full(*_: object, **__: object) -> None:
        raise Temporary("disk full")

    def fail(why: str) -> None:
        raise RuntimeError(why)

    monkeypatch.setattr(store, "write_atomically", full)
    nested: Any = 1
    for _ in range(5_000):
        nested = [nested]
    run(tmp_path, answered(200, MATCHED | {"nested": nested}), OVERCHARGED, halt=fail)
    idle = FactRecorder(tmp_path, "live")
    observe = idle.observer("polymarket")
    for _ in range(MOST_WAITING + 10):
        observe(PermissionChecked(closed_only=False))
    idle.close()
    assert not (tmp_path / FACTS_FILE).exists()
    assert "venue-facts" not in [thread.name for thread in threading.enumerate()]


def test_a_damaged_file_is_kept_and_replaced(tmp_path: Path):
    """Its evidence is collected again; the damaged file remains under another name."""
    (tmp_path / FACTS_FILE).write_text("{")
    run(tmp_path, EXACT)
    assert (tmp_path / f"{FACTS_FILE}.damaged").read_text() == "{"
    assert status(tmp_path, "polymarket")["fee-rate"] is FactStatus.CONFIRMED


def test_a_command_adds_what_it_saw(tmp_path: Path):
    """The preflight checks store their answers at once."""
    collect(tmp_path, "live", [("polymarket", PermissionChecked(closed_only=True))])
    assert status(tmp_path, "polymarket") == {"permission": FactStatus.CONFIRMED}
