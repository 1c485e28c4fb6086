"""What the market stream shows about its rules: samples and exceptions, not one report per message."""

from decimal import Decimal

from nautilus_trader.adapters.polymarket.schemas.book import PolymarketBookLevel, PolymarketBookSnapshot

from execution.venue_facts.observations import BestPricesCompared, BooksSeen, StreamSilence, TickChangeSeen
from patches.stream_evidence import SAMPLE, StreamEvidence


class Stream:
    """A stream with a clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.seen: list[object] = []
        self.running: str | None = "0xc1"
        self.evidence = StreamEvidence(self.seen.append, lambda: self.running, lambda: self.now_s)

    def message(self, condition_id: str, after_s: float) -> None:
        """A message after a pause in which the process was alive."""
        self.now_s += after_s
        self.evidence.alive()
        self.evidence.message(condition_id)


def test_pauses_of_the_running_market():
    """The longest pause of a sample is reported, a too long one at once; other markets do not count."""
    stream = Stream()
    stream.message("0xc1", 2.0)
    for _ in range(SAMPLE):
        stream.message("0xc1", 0.5)
        stream.message("0xother", 0.5)
    stream.message("0xc1", 3.5)
    assert stream.seen == [
        StreamSilence(longest_s=1.0, messages=SAMPLE),
        StreamSilence(longest_s=4.0, messages=1),
    ]


def test_a_busy_stream_is_reported_every_ten_seconds():
    """Samples that follow within ten seconds of one are reported together."""
    stream = Stream()
    for _ in range(1 + 3 * 1_000):
        stream.message("0xc1", 0.011)
        stream.evidence.best_prices(None)
    silence = [found.messages for found in stream.seen if isinstance(found, StreamSilence)]
    agreed = [found.agreed for found in stream.seen if isinstance(found, BestPricesCompared)]
    assert (silence, agreed) == ([200, 910, 910], [200, 910, 910, 910])


def test_pauses_that_are_not_the_venues():
    """The first message of a market, a lost connection and a stalled process are no silence of the venue."""
    stream = Stream()
    stream.message("0xc1", 10.0)
    stream.message("0xc1", 1.0)
    stream.evidence.reconnected()
    stream.message("0xc1", 10.0)
    stream.now_s += 10.0
    stream.evidence.message("0xc1")
    stream.running = "0xc2"
    stream.message("0xc2", 10.0)
    stream.message("0xc2", 1.0)
    assert stream.seen == []


def book(token: str, bid: str, ask: str, *, timestamp: str = "1", market: str = "0xc1"):
    level = PolymarketBookLevel
    return PolymarketBookSnapshot(
        market=market,
        asset_id=token,
        bids=[level(price=bid, size="5")],
        asks=[level(price=ask, size="7")],
        timestamp=timestamp,
    )


def test_both_books_of_one_instant():
    """Books of one market with one timestamp are reported together; a price that is no number is not."""
    stream = Stream()
    stream.evidence.books([book("1", "0.4", "0.5"), "x", book("2", "0.5", "0.6")])
    stream.evidence.books([book("1", "0.4", "0.5"), book("2", "0.5", "0.6", timestamp="2")])
    stream.evidence.books([book("1", "0.4", "0.5"), book("2", "0.5", "0.6", market="0xc2")])
    stream.evidence.books([book("1", "x", "0.5"), book("2", "0.5", "0.6")])
    (found,) = stream.seen
    assert isinstance(found, BooksSeen)
    assert (found.first_bids, found.second_asks) == ({Decimal("0.4"): 5}, {Decimal("0.6"): 7})


def test_best_prices_and_ticks():
    """Agreements are reported by the sample, a difference at once with those before it."""
    stream = Stream()
    for _ in range(SAMPLE + 3):
        stream.evidence.best_prices(None)
    stream.evidence.best_prices("best bid 0.4, the venue's is 0.5")
    stream.evidence.tick_changed("0.001", followed=True)
    assert stream.seen == [
        BestPricesCompared(agreed=SAMPLE),
        BestPricesCompared(agreed=3, difference="best bid 0.4, the venue's is 0.5"),
        TickChangeSeen(tick="0.001", followed=True),
    ]
