"""Strikes are computed only when something near a market's start has arrived, with the same result."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingestion.adapters import strikes as module
from core.ingestion.adapters.checked_sources import CheckedSources
from core.ingestion.adapters.strikes import Strikes, _earliest, _Market
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.ingestion.validators.data_validator import DataValidator
from data_sources.chainlink import ChainlinkSource
from data_sources.coinbase import CoinbaseSource
from data_sources.types import ChainPrice, PriceKind
from models import Rule

START = 1_790_596_800


class Always(Strikes):
    """Computes everything in each call."""

    def note(self, start, now_ns, path, means, spots=()) -> None:
        if self._market_time(now_ns) < start:
            return
        known = self._markets.get(start, _Market())
        self._markets[start] = _Market(
            published=_earliest(known.published, self._published(start, tuple(means), tuple(spots))),
            own=self._own(start, path) | dict(known.own),
        )


class Feed:
    """An adapter without connections, and the strikes of all observations beside it."""

    def __init__(self) -> None:
        self.now_ns = START * 10**9
        self.chainlink = ChainlinkSource(now_ns=self._now)
        url = "http://127.0.0.1:9"
        self.sources = CheckedSources(
            coinbase=CoinbaseSource(base_url=url, exchange_url=url, now_ns=self._now),
            validator=DataValidator("btc", self._now),
            chainlink=self.chainlink,
            now_ns=self._now,
        )
        self.chainlink.set_filter(lambda price: True)
        self.adapter = UnifiedDataAdapter(interval=900, sources=self.sources, now_ns=self._now)
        self.plain = Always(lambda ns: ns / 1e9, "coinbase")

    def _now(self) -> int:
        return self.now_ns

    def receive(self, kind: PriceKind, second: float, price: int, feed: str = "rtds") -> None:
        """An observation, by the second since the start."""
        at_ns = round((START + second) * 1e9)
        self.chainlink.record_price(
            ChainPrice("chainlink", feed, kind, "btc/usd", Decimal(price), at_ns, self.now_ns)
        )

    def note(self, start: int) -> None:
        """Note the strikes in both ways."""
        self.adapter._note_strike(start)
        opened = self.plain.is_open(start, self.now_ns)
        both = [self.chainlink.observations(kind) for kind in (PriceKind.TWAP60, PriceKind.SPOT)]
        self.plain.note(start, self.now_ns, self.sources.path, *(both if opened else ((), ())))

    def require_equality(self, start: int) -> None:
        for rule in Rule:
            assert self.adapter._strikes.known(start, rule) == self.plain.known(start, rule)


STEPS = st.lists(
    st.tuples(
        st.sampled_from((0.5, 1.0, 1.0, 2.0, 30.0, -70.0)),
        st.sampled_from(list(PriceKind)),
        st.one_of(st.floats(-1, 4), st.floats(-130, 10)),
        st.sampled_from((0, 0, 0, 1)),
        st.booleans(),
        st.integers(0, 20).map(lambda number: number == 0),
    ),
    max_size=80,
)
"""Pause, kind and second of an observation, the market whose strikes are noted, whether the own spot price is
sampled, and whether an earlier process' path is restored."""


@settings(max_examples=examples(150), deadline=None)
@given(STEPS)
def test_the_strikes_are_those_of_all_observations(
    steps: Sequence[tuple[float, PriceKind, float, int, bool, bool]],
):
    """In whatever order they arrive, and with a clock that is set back."""
    feed = Feed()
    for number, (pause, kind, second, market, samples, restores) in enumerate(steps):
        feed.now_ns += round(pause * 1e9)
        feed.receive(kind, second + 900 * market, 65_000 + number)
        if samples:
            feed.sources.path.add(feed.now_ns / 1e9, Decimal(64_000 + number))
        if restores:
            feed.sources.path.restore([(START - 70.0 + 5 * n, Decimal(63_000 + n)) for n in range(16)])
        feed.note(START + 900 * market)
        feed.require_equality(START + 900 * market)


def test_the_minute_before_the_start_is_received_later() -> None:
    """A relay that was down replays its last two minutes: the mean before the start is known then, and so is
    that of the bot's own prices once an earlier process' path is restored."""
    feed = Feed()
    for second in (1, 2, 5, 9):
        feed.now_ns = (START + second) * 10**9
        feed.receive(PriceKind.SPOT, second, 65_000)
        feed.sources.path.add(START + second, Decimal(65_000))
        feed.note(START)
        feed.require_equality(START)
    assert [bool(feed.plain.known(START, rule)) for rule in (Rule.SPOT, Rule.TWAP30)] == [True, False]
    for second in range(-40, -2):
        feed.receive(PriceKind.SPOT, second, 64_000)
    feed.note(START)
    feed.require_equality(START)
    assert len(feed.plain.known(START, Rule.TWAP30)) == 1
    feed.sources.path.restore([(START - 70.0 + 5 * n, Decimal(64_000)) for n in range(14)])
    feed.note(START)
    feed.require_equality(START)
    assert len(feed.plain.known(START, Rule.TWAP30)) == 2


def test_a_price_far_from_the_start_costs_no_computation(monkeypatch) -> None:
    """Of three minutes with two prices a second only those near the start are looked at, and the own strikes
    are final after it."""
    feed = Feed()
    computed: list[int] = []
    published, own = Strikes._published, Strikes._own
    monkeypatch.setattr(module.Strikes, "_published", lambda *of: (computed.append(1), published(*of))[1])
    monkeypatch.setattr(module.Strikes, "_own", lambda *of: (computed.append(2), own(*of))[1])
    for second in range(170):
        feed.now_ns = (START + second) * 10**9
        for kind in PriceKind:
            feed.receive(kind, second, 65_000)
        feed.sources.path.add(START + second, Decimal(65_000))
        feed.adapter._note_strike(START)
    assert computed.count(1) <= 5
    assert computed.count(2) <= 6
    assert feed.adapter._strikes.find(START, Rule.SPOT) != ""
    asyncio.run(feed.sources.aclose())
