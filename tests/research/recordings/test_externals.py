"""The values of the external sources in a recording: read without a loss, valid from their time on."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from ledger_builders import decision
from recording_writers import write_frames

from core.ingestion.adapters.unified_adapter import Externals, RefreshedValues
from models import Consensus, PutCall, Rule, Sentiment, Spot, Strike, Tick
from research.recording_file import Frame, FrameKind, read_frames
from research.recordings import BUNDLED, RecordedMarket, Snapshot, list_markets, load
from research.recordings.externals import ExternalsReader, RecordedExternals, Refresh

S = 1_000_000_000
NOT_RECORDED = dict.fromkeys(("coinbase", "strike", "deribit", "fear_greed"), "not recorded")
FULL = Externals(
    spot=Spot("coinbase", Decimal("65000.10"), 11, 12),
    spot_path=(),
    strike=Strike(Decimal("64990.5"), Rule.TWAP60, "chainlink_twap60/rtds"),
    put_call=PutCall("deribit", 0.8, None, 80.5, 100.25, 13, 14),
    sentiment=Sentiment("alternative.me", 22.0, "Extreme Fear", 15, 16),
    absent={},
    consensus=Consensus(Decimal(65000), {"binance": Decimal(65000)}, {"pyth": Decimal(1)}),
)
DEAD = Externals(
    None, (), None, None, None, {"coinbase": "coinbase: no answer within 1.5 s", "strike": "late"}
)


def path(*seconds: float) -> tuple[Tick, ...]:
    return tuple(Tick(second, 65000 + Decimal(str(second))) for second in seconds)


def feed(market: RecordedMarket, offset_ns: int, start: int, values: Externals, **more: Any) -> Frame:
    text = msgspec.json.encode(RefreshedValues(start, values, **more)).decode()
    return Frame(market.start * S + offset_ns, FrameKind.FEED, "externals", text)


@pytest.fixture(scope="module")
def bundled() -> RecordedMarket:
    """Books of a real market at its seconds 0, 10, ..., 890, changed by one share each."""
    market = list_markets(BUNDLED)[0].read()
    books = tuple(
        Snapshot(offset_ns=second * S, bids=((500, 10**6 * (second + 1)),), asks=((510, 10**6),))
        for second in range(0, 900, 10)
    )
    return msgspec.structs.replace(market, snapshots=books)


def test_the_recorded_values_are_those_of_the_bot_at_each_time(bundled, tmp_path):
    """Every value, reason and part of the spot path comes back, also after another market and a restart."""
    start, new = bundled.start, msgspec.structs.replace
    frames = [
        feed(bundled, 100 * S, start, new(FULL, spot_path=path(-1.5, 98.25))),
        feed(bundled, 105 * S, start, new(DEAD, spot_path=path(104.5)), known=(-1.5, 98.25)),
        feed(bundled, 106 * S, start + 900, new(FULL, spot_path=path(-794.0))),
        feed(bundled, 107 * S, start, new(FULL, spot_path=path(98.25, 104.5, 106.5))),
        # The oldest price is no longer stored, and there is no new one.
        feed(bundled, 112 * S, start, FULL, known=(104.5, 106.5)),
    ]
    (found,) = load(write_frames(bundled, tmp_path, frames))
    assert found.defects == ()
    at = [found.externals.at(round(second * S)) for second in (99.999, 100, 104.999, 105, 106.5, 107, 112)]
    assert at == [
        None,
        new(FULL, spot_path=path(-1.5, 98.25)),
        new(FULL, spot_path=path(-1.5, 98.25)),
        new(DEAD, spot_path=path(-1.5, 98.25, 104.5)),
        new(DEAD, spot_path=path(-1.5, 98.25, 104.5)),
        new(FULL, spot_path=path(98.25, 104.5, 106.5)),
        new(FULL, spot_path=path(104.5, 106.5)),
    ]


def test_values_of_a_decision_are_valid_from_its_book_on(bundled, tmp_path):
    """The answer for a decision on the book of second 780 came at 781.5: a decision on that book has it."""
    asked = (bundled.start * S) + 780 * S + 30_000
    frames = [
        feed(bundled, 775 * S, bundled.start, DEAD),
        feed(bundled, 781 * S + S // 2, bundled.start, FULL, books_ns=asked),
    ]
    (found,) = load(write_frames(bundled, tmp_path, frames))
    assert [found.externals.at(offset) for offset in (780 * S - 1, 780 * S, 790 * S)] == [DEAD, FULL, FULL]


def test_old_values_are_absent_with_the_reason():
    """A spot price is used for 30 s and an option ratio for 600 s after their refresh; the others stay."""
    refresh = Refresh(offset_ns=10 * S, values=FULL, path=(0, 0))
    at = RecordedExternals(refreshes=(refresh,)).at
    assert at(25 * S) == FULL
    assert at(40 * S) == msgspec.structs.replace(FULL, consensus=None)
    spot = {"coinbase": "coinbase: recorded 31 s before, at most 30 allowed"}
    assert at(41 * S) == msgspec.structs.replace(FULL, consensus=None, spot=None, absent=spot)
    old = at(611 * S)
    assert old is not None
    assert (old.put_call, old.strike, old.sentiment) == (None, FULL.strike, FULL.sentiment)
    assert old.absent["deribit"] == "deribit: recorded 601 s before, at most 600 allowed"


def test_a_decision_has_the_values_of_its_time_or_the_reason():
    """The values are in the context; before the first ones each source is named as not recorded."""
    context = decision(1).context
    start_ns = context.market.start * S
    refresh = Refresh(offset_ns=10 * S, values=FULL, path=(0, 2))
    externals = RecordedExternals(refreshes=(refresh,), ticks=path(1, 2, 3))
    early = msgspec.structs.replace(context, now_ns=start_ns + 9 * S)
    assert externals.added_to(early) == msgspec.structs.replace(early, absent=NOT_RECORDED)
    late = msgspec.structs.replace(context, now_ns=start_ns + 10 * S)
    found = externals.added_to(late)
    assert (found.spot, found.strike, found.put_call) == (FULL.spot, FULL.strike, FULL.put_call)
    assert (found.sentiment, found.consensus) == (FULL.sentiment, FULL.consensus)
    assert (found.spot_path, found.absent) == (path(1, 2), {})
    assert (found.up_book, found.second, found.now_ns) == (late.up_book, late.second, late.now_ns)


def test_a_market_that_the_practice_venue_replayed_has_no_external_values(bundled, tmp_path):
    """Beside generated markets the sources had prices that are not those of the replayed market."""
    replayed = msgspec.structs.replace(bundled, gamma={**bundled.gamma, "practiceOrigin": bundled.slug})
    (found,) = load(write_frames(replayed, tmp_path, [feed(bundled, 100 * S, bundled.start, FULL)]))
    assert found.externals == RecordedExternals()


@pytest.mark.parametrize(
    ("frame", "defect"),
    [
        (
            lambda market: feed(market, 105 * S, market.start, FULL, known=(1.0, 90.0)),
            "the beginning of the spot path is not recorded",
        ),
        (
            lambda market: Frame(market.start * S + 105 * S, FrameKind.FEED, "externals", '{"start": 1}'),
            "the values of the external sources are not readable",
        ),
    ],
)
def test_lost_and_unreadable_values_are_defects_of_the_market(bundled, tmp_path, frame, defect):
    """The market is usable on demand only, and its defect has file and row."""
    write_frames(bundled, tmp_path, [frame(bundled)])
    (found,) = load(tmp_path)
    (file,) = tmp_path.glob("*.zst")
    kinds = [each.kind for each in read_frames(tmp_path)]
    assert found.defects == (f"{file}, row {kinds.index(FrameKind.FEED) + 1}: {defect}",)


def test_a_lost_refresh_is_noticed():
    """Where a refresh in the middle was lost, the path that follows is known not to be whole."""
    reader = ExternalsReader(0)
    assert reader.add(1, RefreshedValues(0, msgspec.structs.replace(FULL, spot_path=path(1, 2))))
    assert not reader.add(3, RefreshedValues(0, FULL, known=(1.0, 3.0)))
