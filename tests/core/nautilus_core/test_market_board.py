"""One bad market of the catalogue is refused by name; the others are loaded and traded."""

import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.model.instruments import BinaryOption

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "execution"))
from canned_server import CannedServer
from gamma_rows import FIRST, row, slug, v2_row
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProviderConfig
from raw_server import ENDLESS, RawServer, answer

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.market_board import MarketBoard
from core.nautilus_core.instruments.pairing import market_of
from errors import Refused, Temporary, UnknownVersion
from models import Market
from patches import gamma_markets
from patches.gamma_markets import SlugProvider

CALENDAR = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
ASKED = [slug(number) for number in range(5)]
BAD_VALUES: list[tuple[str, Any, str]] = [
    ("conditionId", "\x1b[2J", r"condition id '\x1b[2J'"),
    ("conditionId", None, "condition id 'None'"),
    ("conditionId", "0xc2\n", "condition id"),
    ("clobTokenIds", '["21", "-22"]', "token id '-22'"),
    ("clobTokenIds", "[" * 100_000 + "]" * 100_000, "nested"),
    ("clobTokenIds", '["21", "21"]', "two of its condition and token ids are the same"),
    ("outcomes", '["Up", "\\u001b[31m"]', "not Up and Down"),
    ("outcomes", 7, "outcomes is not a list"),
    ("orderPriceMinTickSize", "NaN", "outside the valid range"),
    ("orderPriceMinTickSize", 1e-12, "more than 6 decimals"),
    ("orderPriceMinTickSize", "1e400", "outside the valid range"),
    ("feeSchedule", {"rate": "-1"}, "feeSchedule.rate -1, which is outside the valid range"),
    ("cryptoMarketConfig", [], "malformed"),
    ("version", "\x9b5n\u202ev2", r"protocol version \x9b5n\u202ev2"),
    ("endDate", "never", "its instruments cannot be created"),
    ("outcomePrices", '["x", "y"]', "its instruments cannot be created"),
    ("outcomePrices", "[" * 5000, "its instruments cannot be created"),
]


class Catalogue:
    """A board and a provider with a server that lists a test's markets."""

    def __init__(
        self, url: str, on_unknown_version: Callable[[str, UnknownVersion], None] | None = None
    ) -> None:
        self.refused: list[tuple[str, str]] = []
        self.markets: list[Market] = []
        self.board = MarketBoard(
            CALENDAR,
            self.markets.append,
            lambda name, why: self.refused.append((name, why)),
            on_unknown_version,
        )
        self.provider = SlugProvider(
            client=None,
            clock=LiveClock(),
            config=PolymarketInstrumentProviderConfig(load_all=True),
            slugs=lambda: ASKED,
            gamma_url=url,
            admit=self.board.admit,
            neighbours=CALENDAR.neighbours,
            report=self.board.report,
        )

    async def load(self) -> list[str]:
        """Load the listed markets, pass them to the board, and return the slugs that run by the board."""
        await self.provider.load_all_async()
        for instrument in self.provider.get_all().values():
            self.board.add(instrument)
        return self.running

    @property
    def running(self) -> list[str]:
        found = [self.board.running(FIRST + 900 * number) for number in range(5)]
        return [watch.market.slug for watch in found if watch is not None]


@pytest.fixture
def canned():
    with CannedServer() as server:
        yield server


def listed(canned: CannedServer, *rows: Any) -> None:
    canned.answers["GET", "/markets/keyset"] = (200, {"markets": list(rows), "next_cursor": "more"})


async def test_good_markets_are_loaded_from_one_request(canned: CannedServer) -> None:
    """Five markets are ten instruments; a link to another page is not followed."""
    listed(canned, *map(row, range(5)))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == ASKED
    assert (len(catalogue.provider.get_all()), catalogue.refused) == (10, [])
    assert len(canned.asked) == 1
    assert canned.asked[0][1].count("slug=") == 5


@pytest.mark.parametrize(("field", "value", "why"), BAD_VALUES)
async def test_one_bad_market_is_refused_and_the_others_are_loaded(
    canned: CannedServer, field: str, value: Any, why: str
) -> None:
    """Whatever one row contains, it is named once with the reason, in printable text; four markets remain."""
    listed(canned, *map(row, (0, 1)), row(2, **{field: value}), *map(row, (3, 4)))
    catalogue = Catalogue(canned.url)
    for _ in range(2):
        assert await catalogue.load() == [slug(number) for number in (0, 1, 3, 4)]
    ((name, reason),) = catalogue.refused
    assert name == slug(2)
    assert why in reason
    assert reason.isprintable()


async def test_a_malformed_market_is_loaded_once_it_is_right(canned: CannedServer) -> None:
    """A refusal for a value holds for that answer only, and removes nothing that was loaded before."""
    listed(canned, *map(row, (0, 1)), row(2, version="v3"))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == [slug(0), slug(1)]
    listed(canned, *map(row, (0, 1, 2)))
    assert await catalogue.load() == [slug(0), slug(1), slug(2)]
    listed(canned, row(0, version="v3"), *map(row, (1, 2)))
    assert await catalogue.load() == [slug(0), slug(1), slug(2)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"acceptingOrders": False}, "the catalogue has acceptingOrders False"),
        ({"closed": True}, "the catalogue has closed True"),
        ({"enableOrderBook": False}, "the catalogue has enableOrderBook False"),
        ({"version": "v3"}, f"market {slug(1)} is of protocol version v3, only v1 and v2 are supported"),
        ({"slug": "btc-updown-15m-0"}, "the catalogue does not list it"),
    ],
)
async def test_the_latest_answer_says_whether_orders_are_taken(
    canned: CannedServer, changes: dict[str, Any], why: str
) -> None:
    """A market is suspended by a flag in an answer, and only until another answer differs."""
    catalogue = Catalogue(canned.url)
    for rows, suspension in (([row(1)], None), ([row(1, **changes)], why), ([row(1)], None)):
        listed(canned, row(0), *rows, *map(row, (2, 3, 4)))
        assert await catalogue.load() == ASKED
        assert catalogue.board.suspension(slug(1)) == suspension
        assert all(catalogue.board.suspension(slug(number)) is None for number in (0, 2, 3, 4))
    assert catalogue.refused == ([] if "does not list" in why else [(slug(1), why)])


async def test_an_unknown_version_is_reported_once_and_the_others_are_traded(canned: CannedServer) -> None:
    """Not once for each of its markets, and not as a market's own fault; each version once."""
    unknown: list[tuple[str, str]] = []
    listed(canned, row(0), row(1, version="v3"), v2_row(2), row(3, version="v3"), row(4, version="v4"))
    catalogue = Catalogue(canned.url, lambda name, error: unknown.append((name, str(error))))
    for _ in range(2):
        assert await catalogue.load() == [slug(0), slug(2)]
    text = "market {} is of protocol version {}, only v1 and v2 are supported"
    assert unknown == [(slug(1), text.format(slug(1), "v3")), (slug(4), text.format(slug(4), "v4"))]
    assert catalogue.refused == []
    assert catalogue.board.suspension(slug(3)) == text.format(slug(3), "v3")


async def test_nautilus_gets_the_ids_of_the_markets_version(canned: CannedServer) -> None:
    """The instruments of a v2 market have its position ids, although the row has CTF tokens as well."""
    listed(canned, row(0), v2_row(1), row(2, positionIds=v2_row(2)["positionIds"]))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == [slug(0), slug(1), slug(2)]
    symbols = {instrument_id.symbol.value for instrument_id in catalogue.provider.get_all()}
    positions = v2_row(1)["positionIds"]
    assert symbols == {
        "0xc0-01", "0xc0-02", f"0xc1-{positions[0]}", f"0xc1-{positions[1]}", "0xc2-21", "0xc2-22",
    }  # fmt: skip
    market = catalogue.markets[1]
    assert (market.version, market.up_token, market.down_token) == ("v2", *positions)
    assert [market.version for market in catalogue.markets] == ["v1", "v2", "v1"]


async def test_a_market_that_moves_to_another_version_is_refused(canned: CannedServer) -> None:
    """Its ids are others then: what was bought, and where orders go, would no longer agree."""
    catalogue = Catalogue(canned.url)
    listed(canned, row(0), row(1))
    await catalogue.load()
    listed(canned, row(0), v2_row(1))
    assert await catalogue.load() == [slug(0)]
    ((name, why),) = catalogue.refused
    assert name == slug(1)
    assert why.startswith("its Up token is 4540866244…")
    assert why.endswith("now and was 11 before")


async def test_a_market_that_takes_no_orders_yet_is_watched(canned: CannedServer) -> None:
    """Its instruments are loaded and it is on the board, so that it trades as soon as the flag allows."""
    listed(canned, row(0), row(1, acceptingOrders=False))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == [slug(0), slug(1)]
    assert catalogue.board.suspension(slug(1)) == "the catalogue has acceptingOrders False"


async def test_fee_rate_and_rule_are_those_of_the_latest_answer(canned: CannedServer) -> None:
    """A change reaches the running market and all holders of its terms; the tick comes from the streams."""
    listed(canned, *map(row, range(5)))
    catalogue = Catalogue(canned.url)
    await catalogue.load()
    fees = {"exponent": 1, "rate": 0.05, "takerOnly": True, "rebateRate": 0.2}
    config = {"twapEnabled": True, "twapLookbackSeconds": 30}
    listed(canned, row(0, feeSchedule=fees, cryptoMarketConfig=config, orderPriceMinTickSize=0.001), row(1))
    for _ in range(2):
        await catalogue.load()
    running = catalogue.board.running(FIRST)
    assert running is not None
    assert (str(running.market.fee_rate), running.market.rule, str(running.market.tick)) == (
        "0.05",
        "twap30",
        "0.01",
    )
    assert [market.slug for market in catalogue.markets] == [*ASKED, slug(0)]
    assert catalogue.markets[-1] == running.market


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"conditionId": "0xffff"}, "its condition id is 0xffff now and was 0xc2 before"),
        ({"clobTokenIds": '["77", "22"]'}, "its Up token is 77 now and was 21 before"),
        ({"outcomes": '["Down", "Up"]'}, "its Up token is 22 now and was 21 before"),
        ({"conditionId": "0xc1"}, "its condition id is 0xc1 now and was 0xc2 before"),
    ],
)
async def test_a_market_whose_ids_change_is_refused_for_good(
    canned: CannedServer, changes: dict[str, Any], why: str
) -> None:
    """It is removed from the board, also if a later answer has the first ids again; the others stay."""
    listed(canned, *map(row, range(5)))
    catalogue = Catalogue(canned.url)
    await catalogue.load()
    for rows in ([row(2, **changes)], [row(2)]):
        listed(canned, *map(row, (0, 1)), *rows, *map(row, (3, 4)))
        assert await catalogue.load() == [slug(number) for number in (0, 1, 3, 4)]
    assert catalogue.refused == [(slug(2), why)]


async def test_the_ledger_has_the_ids_from_before_a_restart(canned: CannedServer) -> None:
    """A new process refuses a market that an earlier one had recorded with other ids."""
    catalogue = Catalogue(canned.url)
    for number in range(5):
        catalogue.board.remember(market_of(row(number), CALENDAR))
    listed(
        canned, *map(row, (0, 1)), row(2, conditionId="0xffff"), row(3), row(4, clobTokenIds='["31", "32"]')
    )
    assert await catalogue.load() == [slug(number) for number in (0, 1, 3)]
    assert dict(catalogue.refused) == {
        slug(2): "its condition id is 0xffff now and was 0xc2 before",
        slug(4): "its Up token is 31 now and was 41 before",
    }


async def test_two_unknown_markets_with_one_id_are_both_refused(canned: CannedServer) -> None:
    """It is unknown which of them is right; of a known and an unknown one only the unknown is refused."""
    listed(canned, row(0), row(1), row(2, conditionId="0xc1"))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == [slug(0)]
    assert dict(catalogue.refused) == {
        slug(1): f"its id 0xc1 is that of {slug(2)}, too",
        slug(2): f"its id 0xc1 is that of {slug(1)}, too",
    }
    listed(canned, row(0), row(3, clobTokenIds='["31", "02"]'), row(4))
    assert await catalogue.load() == [slug(0), slug(4)]
    assert dict(catalogue.refused)[slug(3)] == f"its id 02 is that of {slug(0)}"


async def test_a_market_that_the_catalogue_lacks_is_compared_with_what_it_has(canned: CannedServer) -> None:
    """The catalogue's markets start at another minute: the report names those that it has instead."""
    shifted = row(0, slug=f"btc-updown-15m-{FIRST + 300}")
    listed(canned, shifted, *map(row, (1, 2)))
    catalogue = Catalogue(canned.url)
    for _ in range(2):
        await catalogue.load()
    assert catalogue.refused == [
        (slug(0), f"not in the catalogue, which has btc-updown-15m-{FIRST + 300}: +300 s off the calendar")
    ]
    listed(canned, *map(row, (1, 2)))
    lacking = Catalogue(canned.url)
    assert await lacking.load() == [slug(1), slug(2)]
    assert lacking.refused == []


@pytest.mark.parametrize(
    "strange",
    [
        row(2, slug="\x1b[2J"),
        row(7),
        row(2, slug="btc-updown-15m-0001790587800"),
        row(2, slug="btc-updown-15m-١٧٩٠٥٨٧٨٠٠"),
        {"slug": 7},
        7,
        None,
        [],
    ],
)
async def test_rows_that_were_not_asked_for_change_nothing(canned: CannedServer, strange: Any) -> None:
    """They are ignored, and the requested markets are loaded."""
    listed(canned, row(0), strange, row(1))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == [slug(0), slug(1)]
    assert len(catalogue.provider.get_all()) == 4
    assert catalogue.refused == []


async def test_a_catalogue_that_ignores_what_it_is_asked_for_loads_nothing(canned: CannedServer) -> None:
    """A full page of the series' other markets, and no market that was requested: none is traded instead."""
    listed(canned, *map(row, range(10, 110)))
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == []
    assert catalogue.provider.get_all() == {}
    assert catalogue.markets == []
    assert {catalogue.board.suspension(name) for name in ASKED} == {"the catalogue does not list it"}


@pytest.mark.parametrize(
    "text", ["btc-updown-15m-0001790587800", "btc-updown-15m-١٧٩٠٥٨٧٨٠٠", "btc-updown-15m-²"]
)
def test_a_start_is_written_in_one_way(text: str) -> None:
    """Other digits and leading zeros would give one market several names."""
    with pytest.raises(ValueError, match="is not a"):
        CALENDAR.start_of(text)


async def test_texts_of_a_market_reach_neither_screen_nor_log_as_they_are(canned: CannedServer) -> None:
    """Title, origin and all texts of an instrument are free of control characters."""
    attack = "\x1b[2J\x9b5n\u202e\r\n"
    listed(
        canned, row(0, question=attack, practiceOrigin=attack, description=attack, extra=[{attack: attack}])
    )
    catalogue = Catalogue(canned.url)
    assert await catalogue.load() == [slug(0)]
    assert catalogue.markets[0].title == r"\x1b[2J\x9b5n\u202e\x0d\x0a"
    assert catalogue.markets[0].origin.isprintable()
    for instrument in catalogue.provider.get_all().values():
        assert str(instrument).isprintable()
        assert instrument.info["_gamma_original"]["description"].isprintable()


UNUSABLE = {
    "drip": ENDLESS["the body"],
    "headers": ENDLESS["the headers"],
    "nested": answer(b"[" * 100_000 + b"]" * 100_000),
    "huge": answer(b'{"markets":["' + b"x" * 9_000_000 + b'"]}'),
    "no markets": answer(b'{"data": []}'),
    "not a list": answer(b'{"markets": 7}'),
    "html": answer(b"<html>\x1b[2J"),
}


@pytest.mark.parametrize("how", UNUSABLE)
async def test_an_answer_that_cannot_be_used_is_temporary(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of that request within the bound, and what was loaded stays."""
    monkeypatch.setattr(gamma_markets, "REQUEST_LIMIT_S", 0.5)
    with RawServer(UNUSABLE[how]) as server:
        catalogue = Catalogue(server.url)
        began = time.monotonic()
        with pytest.raises(Temporary) as caught:
            await catalogue.load()
        assert time.monotonic() - began < 8
        assert str(caught.value).isprintable()


MAKES_IT_UNREADABLE = {
    "nested": b"[" * 100_000 + b"]" * 100_000,
    "huge": b'"' + b"x" * 9_000_000 + b'"',
    "no number": b"1e400",
}


@pytest.mark.parametrize("how", MAKES_IT_UNREADABLE)
async def test_one_market_that_makes_the_answer_unreadable_is_left_out(how: str) -> None:
    """All markets are requested at once, then each separately: four are loaded, and the fifth is named
    once."""

    def serve(connection: socket.socket) -> None:
        asked = [n for n in range(5) if slug(n).encode() in server.request_of[connection]]
        rows = [json.dumps(row(n)).encode() for n in asked]
        if 2 in asked:
            whole = rows[asked.index(2)]
            rows[asked.index(2)] = b'{"extra": ' + MAKES_IT_UNREADABLE[how] + b"," + whole[1:]
        answer(b'{"markets":[' + b",".join(rows) + b"]}")(connection)

    with RawServer(serve) as server:
        catalogue = Catalogue(server.url)
        for _ in range(2):
            assert await catalogue.load() == [slug(0), slug(1), slug(3), slug(4)]
        assert len(server.requests) == 12
        assert catalogue.refused == [(slug(2), "the catalogue's answer about it cannot be used")]


async def test_an_error_of_the_catalogue_is_temporary(canned: CannedServer) -> None:
    """Its status and text are in the error, on one printable line."""
    canned.answers["GET", "/markets/keyset"] = (500, b"\x1b[2J down")
    with pytest.raises(Temporary, match=r"HTTP 500: \\x1b\[2J down"):
        await Catalogue(canned.url).load()


def test_an_instrument_that_is_not_its_markets_is_refused() -> None:
    """The two instruments of a market have the ids of its row."""
    catalogue = Catalogue("http://127.0.0.1:9")
    made: list[BinaryOption] = []
    for outcome, token in (("Up", "21"), ("Down", "99")):
        info = gamma_markets.normalize_gamma_market_to_clob_format(row(2))
        made.append(catalogue.provider._load_instrument(info, token, outcome))
    for instrument in made:
        catalogue.board.add(instrument)
    assert catalogue.running == []
    assert catalogue.refused == [(slug(2), "its Down instrument 0xc2-99 is not the one of its ids")]


def test_the_error_of_a_malformed_market_is_one_printable_line() -> None:
    """Slug and value are repeated without control characters and with bounded length."""
    for bad in (
        {"slug": "\x1b[2J" * 100_000},
        {"clobTokenIds": '["\\ud800", "22"]'},
        {"outcomes": "\x1b" * 10**6},
    ):
        with pytest.raises(Refused) as caught:
            market_of(row(0, **bad), CALENDAR)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1000
