"""The market board over time: which market runs, which follows, and what belongs to which instrument."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import BinaryOption

sys.path.insert(0, str(Path(__file__).parent))
from gamma_rows import FIRST, row, slug
from nautilus_trader.adapters.polymarket.common.parsing import parse_polymarket_instrument

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_board import MarketBoard
from models import Market, Outcome, Rule
from patches import gamma_markets

CALENDAR = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)


def instruments(number: int, **changes: Any) -> list[BinaryOption]:
    """The two instruments of a market as the adapter parses them, Down first."""
    info = gamma_markets.normalize_gamma_market_to_clob_format(row(number, **changes))
    return [
        parse_polymarket_instrument(info, token_id=f"{number}{digit}", outcome=outcome, ts_init=0)
        for outcome, digit in (("Down", 2), ("Up", 1))
    ]


class Board:
    """A board with what it reported."""

    def __init__(self, *numbers: int) -> None:
        self.markets: list[Market] = []
        self.refused: list[tuple[str, str]] = []
        self.board = MarketBoard(CALENDAR, self.markets.append, lambda *pair: self.refused.append(pair))
        for number in numbers:
            self.add(*instruments(number))

    def add(self, *made: BinaryOption) -> None:
        for instrument in made:
            self.board.add(instrument)


def test_a_market_is_complete_with_its_second_token():
    """One token alone is no market; both, in whichever order, are announced once, Up and Down by label."""
    board = Board()
    down, up = instruments(0)
    board.add(down)
    assert (board.markets, board.board.running(FIRST)) == ([], None)
    board.add(up)
    board.add(down, up)
    assert [(market.slug, market.up_token, market.down_token) for market in board.markets] == [
        (slug(0), "01", "02")
    ]
    tracked = board.board.running(FIRST)
    assert tracked is not None
    assert tracked.ids == {Outcome.UP: up.id, Outcome.DOWN: down.id}


@pytest.mark.parametrize(
    ("second", "running", "following"),
    [(-1, None, 0), (0, 0, 1), (899, 0, 1), (900, 1, None), (1800, None, 3), (2700, 3, None)],
)
def test_the_boundary_belongs_to_the_market_that_starts(second, running, following):
    """At its start second a market runs, and the one before does not; a market that is missing is none."""
    board = Board(0, 1, 3).board
    found = (board.running(FIRST + second), board.following(FIRST + second))
    assert [None if one is None else one.market.slug for one in found] == [
        None if number is None else slug(number) for number in (running, following)
    ]


def test_each_instrument_has_its_market_and_side():
    """By instrument: market and outcome; by slug: the market; neither for what is not on the board."""
    board = Board(0, 1).board
    for number in (0, 1):
        for instrument, outcome in zip(instruments(number), (Outcome.DOWN, Outcome.UP), strict=True):
            found = board.find(instrument.id)
            assert found is not None
            assert (found[0], found[1]) == (board.by_slug(slug(number)), outcome)
    assert board.by_slug(slug(2)) is None
    assert board.find(InstrumentId.from_str("0xc2-21.POLYMARKET")) is None


def test_a_refused_market_is_gone_and_stays_away():
    """Its instruments are no longer found, it is reported once, and adding it again changes nothing."""
    board = Board(0, 1)
    for _ in range(2):
        board.board.refuse(slug(0), "settles by an unknown rule")
        board.add(*instruments(0))
    assert board.board.running(FIRST) is None
    assert all(board.board.find(instrument.id) is None for instrument in instruments(0))
    assert board.board.by_slug(slug(1)) is not None
    assert board.refused == [(slug(0), "settles by an unknown rule")]


def test_the_origin_of_a_practice_market_is_kept():
    """The venue's own name of the event behind a market; a real market has none."""
    board = Board()
    board.add(*instruments(0, practiceOrigin="synthetic-57-1"), *instruments(1))
    assert [(market.origin, str(market.kind)) for market in board.markets] == [
        ("synthetic-57-1", "generated"),
        ("", "None"),
    ]


def test_a_later_answer_changes_fee_and_rule_of_a_tracked_market():
    """The market in use is replaced, and announced again, only if one of them differs."""
    board = Board(0)
    board.board.admit([row(0)], [slug(0)])
    assert len(board.markets) == 1
    changed = row(0, cryptoMarketConfig={"twapEnabled": True, "twapLookbackSeconds": 30})
    board.board.admit([changed], [slug(0)])
    tracked = board.board.by_slug(slug(0))
    assert tracked is not None
    assert tracked.market.rule is Rule.TWAP30
    assert board.markets == [
        msgspec.structs.replace(tracked.market, rule=Rule.TWAP60),
        tracked.market,
    ]
