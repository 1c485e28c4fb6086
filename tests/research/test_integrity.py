"""Tests for research.integrity: each defect is reported with file and row of its first occurrence."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from research.integrity import check, main
from research.recording_file import Frame, FrameKind, FrameWriter

START = 1_790_035_200  # 2026-09-22T00:00:00Z
SLUG = f"btc-updown-15m-{START}"
FILE = "2026-09-22.jsonl.zst"
CONDITION = "0x01"


def gamma(**changes: Any) -> str:
    resolved = {
        "slug": SLUG,
        "conditionId": CONDITION,
        "closed": True,
        "outcomes": '["Up","Down"]',
        "outcomePrices": '["0","1"]',
        "umaResolutionStatus": "resolved",
    }
    return json.dumps(resolved | changes)


def book(bids: dict[str, str], asks: dict[str, str], at_s: float, **changes: Any) -> str:
    event = {
        "event_type": "book",
        "market": CONDITION,
        "asset_id": "11",
        "timestamp": str(int(at_s * 1000)),
        "bids": [{"price": price, "size": size} for price, size in bids.items()],
        "asks": [{"price": price, "size": size} for price, size in asks.items()],
    }
    return json.dumps([event | changes])


def change(price: str, size: str, side: str, best: tuple[str, str], at_s: float) -> str:
    row = {"asset_id": "11", "price": price, "size": size, "side": side}
    row |= {"best_bid": best[0], "best_ask": best[1]}
    event = {"event_type": "price_change", "market": CONDITION, "timestamp": str(int(at_s * 1000))}
    return json.dumps(event | {"price_changes": [row]})


def sound() -> list[tuple[float, FrameKind, str, str]]:
    """A recording without a defect: a book every 20 s, one change, the result afterwards."""
    rows = [
        (float(s), FrameKind.MARKET, "clob", book({"0.4": "5"}, {"0.5": "5"}, s)) for s in range(0, 900, 20)
    ]
    rows.insert(1, (5.0, FrameKind.MARKET, "clob", change("0.41", "7", "BUY", ("0.41", "0.5"), 5)))
    rows.insert(2, (6.0, FrameKind.MARKET, "clob", change("0.41", "0", "BUY", ("0.4", "0.5"), 6)))
    return [
        (-1.0, FrameKind.GAMMA, SLUG, gamma(closed=False)),
        *rows,
        (950.0, FrameKind.GAMMA, SLUG, gamma()),
    ]


def record(folder: Path, rows: list[tuple[float, FrameKind, str, str]]) -> None:
    writer = FrameWriter(folder)
    for second, kind, source, raw in rows:
        # The day before begins a second earlier: one file is enough here.
        writer.write(Frame(int((START + 1 + second) * 10**9), kind, source, raw))
    writer.close()


def findings(folder: Path) -> list[tuple[str, int | None, str]]:
    """Check, row and text of everything that was found."""
    report = check(folder)
    found = [*report.findings, *(each for market in report.markets for each in market.findings)]
    assert all(each.file == str(folder / FILE) for each in found)
    return [(each.check, each.row, each.text) for each in found]


def test_a_sound_recording_has_no_findings(tmp_path):
    """The report has the market with its frames, its extent and its result, and nothing else."""
    record(tmp_path, sound())
    report = check(tmp_path)
    assert report.sound
    assert (report.files, report.frames) == (1, 49)
    (market,) = report.markets
    assert (market.slug, market.frames, market.first_s, market.last_s) == (SLUG, 47, 1.0, 881.0)
    assert market.outcome == "Down"


HASHED = {
    "hash": "",
    "min_order_size": "5",
    "tick_size": "0.01",
    "neg_risk": False,
    "last_trade_price": "0.4",
}


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda rows: rows.pop(), [("outcome", 48, "no catalogue object with its official result")]),
        (
            lambda rows: [rows.pop(20) for _ in range(2)],
            [("gap", 21, "no frame for 60.0 s from second 321.0 on")],
        ),
        (lambda rows: [rows.pop(-2) for _ in range(3)], [("gap", 45, "no frame after second 821.0")]),
        (
            lambda rows: rows.insert(9, (90.0, *rows[9][1:])),
            [("clock", 10, "the clock runs backwards, by 10.000000 s")],
        ),
        (
            lambda rows: rows.insert(2, (5.0, *rows[2][1:3], change("0.5", "1", "BUY", ("0.5", "0.5"), 5))),
            [
                ("crossing", 3, "best bid 0.5, best ask 0.5"),
                ("sequence", 4, "best bid 0.5, the venue's is 0.41: a change is missing"),
            ],
        ),
        (
            lambda rows: rows.insert(2, (5.0, *rows[2][1:3], change("0.39", "1", "BUY", ("0.41", "0.5"), 5))),
            [("sequence", 3, "best bid 0.4, the venue's is 0.41: a change is missing")],
        ),
        (
            lambda rows: rows.insert(3, (5.0, *rows[3][1:3], change("0.4", "5", "BUY", ("0.41", "0.5"), 4))),
            [("sequence", 4, "the venue's time 4000 is before 5000")],
        ),
        (
            lambda rows: rows.insert(1, (0.0, *rows[1][1:3], book({"0.4": "5"}, {"0.5": "5"}, 0, **HASHED))),
            [("hash", 2, "the book of 11 is not that of its hash")],
        ),
        (
            lambda rows: rows.insert(1, (0.0, *rows[1][1:3], "{")),
            [("sequence", 2, "a frame that cannot be read")],
        ),
        (
            lambda rows: [rows.pop(0), rows.pop()],
            [("catalogue", 47, "market 0x01 has no catalogue object")],
        ),
    ],
    ids=["result", "gap", "end", "clock", "crossing", "lost", "late", "hash", "text", "catalogue"],
)
def test_each_defect_is_found_with_its_file_and_row(tmp_path, edit, found):
    """Each kind of defect gives its finding, with file and row, and no other one."""
    rows = sound()
    edit(rows)
    record(tmp_path, rows)
    have = findings(tmp_path)
    assert [(check, row) for check, row, _ in have] == [(check, row) for check, row, _ in found]
    assert all(text.startswith(wanted) for (*_, text), (*_, wanted) in zip(have, found, strict=True))


def test_a_book_with_its_own_hash_is_sound(tmp_path):
    """The hash is the SHA-1 of the compact JSON of the book with an empty hash."""
    rows = sound()
    event = json.loads(book({"0.4": "5"}, {"0.5": "5"}, 0, **HASHED))[0]
    names = ["market", "asset_id", "timestamp", "hash", "bids", "asks", *list(HASHED)[1:]]
    compact = json.dumps({name: event[name] for name in names}, separators=(",", ":"))
    event["hash"] = hashlib.sha1(compact.encode()).hexdigest()
    rows.insert(1, (0.0, FrameKind.MARKET, "clob", json.dumps(event)))
    record(tmp_path, rows)
    assert findings(tmp_path) == []


def test_a_market_that_is_recorded_too_late_is_named(tmp_path):
    """A market whose first book arrives after its decision window began cannot be decided on."""
    rows = [row for row in sound() if row[0] < 0 or row[0] > 790]
    record(tmp_path, rows)
    assert [(check, row) for check, row, _ in findings(tmp_path)] == [("coverage", 6)]


def test_a_truncated_file_is_a_finding_and_can_be_repaired(tmp_path, capsys):
    """The rows before the truncated end are checked; `--repair` cuts that end, and nothing else."""
    record(tmp_path, sound())
    path = tmp_path / FILE
    complete = path.read_bytes()
    path.write_bytes(complete + complete[:-9])
    assert findings(tmp_path) == [("file", 49, "the file is truncated after this row")]
    assert main([str(tmp_path)]) == 1
    assert f"{path}, row 49: file: the file is truncated after this row" in capsys.readouterr().out
    assert main([str(tmp_path), "--repair"]) == 0
    assert path.read_bytes() == complete


def test_the_report_is_printed_as_a_table_and_as_json(tmp_path, capsys):
    """The table has one line per market, the JSON has the same values; defects end the command with 1."""
    record(tmp_path, sound()[:-1])
    assert main([str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert re.search(rf"^{SLUG} +47 +1\.0 +881\.0 +– +outcome", shown, re.MULTILINE)
    assert main([str(tmp_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [market["slug"] for market in report["markets"]] == [SLUG]
    assert report["markets"][0]["findings"][0]["check"] == "outcome"
    assert main([str(tmp_path / "missing")]) == 1
