"""Settlement by the venue's official result only, however and whenever it arrives."""

import asyncio
import json
import time
from decimal import Decimal

import httpx
import pytest
from process import VenueProcess
from raw_server import ENDLESS, RawServer, answer

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.pairing import market_of
from errors import Fatal
from execution.settlement import outcome_poller
from execution.settlement.outcome_poller import OutcomePoller, ResolutionSource
from execution.venue_answers import ResolutionStatus, gamma_resolution
from models import Market, Outcome, Settlement, Split

CALENDAR = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
POLL_S = 0.02
UP_WON = {"closed": True, "outcomes": '["Up", "Down"]', "outcomePrices": '["1", "0"]'}


@pytest.fixture(scope="module")
def venue():
    with VenueProcess.start("--hold-clock") as running:
        yield running


@pytest.fixture(scope="module")
def resolved(venue) -> Market:
    """A market that the venue has resolved."""
    start = venue.clock.current_start()
    gamma = venue.get("/gamma/markets", slug=f"btc-updown-15m-{start}")[0]
    venue.finish_market()
    return market_of(gamma, CALENDAR)


@pytest.fixture
def over(venue, resolved) -> Market:
    yield resolved
    venue.clear_faults()


def winner(venue, market: Market) -> Outcome:
    tokens = venue.get(f"/markets/{market.condition_id}")["tokens"]
    return Outcome(next(token["outcome"] for token in tokens if token["winner"]))


async def resolution(venue, market: Market):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await ResolutionSource(client, f"{venue.url}/gamma", venue.url).resolution(market)


async def test_the_official_outcome_is_read(venue, over):
    """A closed market with one price at 1 and no dispute has that outcome, according to the catalogue."""
    found, source = await resolution(venue, over)
    assert (found.outcome, source) == (winner(venue, over), "gamma")


@pytest.mark.parametrize("fault", ["gamma_forgets", "gamma_500"])
async def test_the_order_api_alone_is_enough(venue, over, fault):
    """When the catalogue hides the closed market, or fails, the order API's winner counts."""
    venue.fault(fault, None)
    found, source = await resolution(venue, over)
    assert (found.outcome, source) == (winner(venue, over), "clob")


@pytest.mark.parametrize("listed", [True, False])
async def test_a_market_is_unlisted_only_if_it_stays_so(venue, over, listed):
    """The catalogue may have answered just before the outcome was published: it is asked once more."""
    venue.fault("gamma_forgets", None)
    seen = []

    async def publish(response: httpx.Response) -> None:
        if listed and "/gamma/" in str(response.url):
            venue.clear_faults()

    async with httpx.AsyncClient(trust_env=False, event_hooks={"response": [publish]}) as client:
        source = ResolutionSource(client, f"{venue.url}/gamma", venue.url, observe=seen.append)
        assert (await source.resolution(over))[1] == ("gamma" if listed else "clob")
    (observed,) = seen
    assert (observed.slug, observed.row is not None) == (over.slug, listed)


async def test_an_outcome_between_the_two_answers_has_to_be_the_catalogues_too(venue, over):
    """The catalogue's answer was made before the outcome was published, the order API's after it, with the
    other winner: nothing is settled."""
    venue.fault("clob_contradicts", None)
    before = [venue.get("/gamma/markets", slug=over.slug, closed="true")[0] | {"closed": False}]
    async with httpx.AsyncClient(trust_env=False) as client:
        source = ResolutionSource(client, f"{venue.url}/gamma", venue.url)
        now, answers = source._catalogue, [before]

        async def catalogue(market: Market) -> object:
            return answers.pop() if answers else await now(market)

        source._catalogue = catalogue
        found, _ = await source.resolution(over)
    assert found.outcome is None
    assert "the catalogue's outcome is" in found.why


async def test_a_second_answer_that_does_not_come_changes_nothing(venue, over):
    """The catalogue reported a dispute, and then nothing: the order API's winner is not taken instead."""
    venue.fault("resolution_disputed", None)
    async with httpx.AsyncClient(trust_env=False) as client:
        source = ResolutionSource(client, f"{venue.url}/gamma", venue.url)
        answers = [None, await source._catalogue(over)]

        async def catalogue(market: Market) -> object:
            return answers.pop()

        source._catalogue = catalogue
        found, _ = await source.resolution(over)
    assert (found.outcome, found.why) == (None, "the resolution is disputed")


@pytest.mark.parametrize(
    ("fault", "fragment", "grave"),
    [
        ("resolution_disputed", "the resolution is disputed", False),
        ("clob_contradicts", "the catalogue's outcome is", True),
    ],
)
async def test_a_resolution_that_is_not_final_settles_nothing(venue, over, fault, fragment, grave):
    """Disputed, or two sources that contradict each other: no outcome, and the reason."""
    venue.fault(fault, None)
    found, _ = await resolution(venue, over)
    assert found.outcome is None
    assert fragment in found.why
    assert found.grave is grave


def resolve_without_winner(venue, up: float) -> Market:
    """Let the running market be resolved with a payout for both outcomes; the next one has a winner again."""
    venue.fault("resolution_split", 1, up=up)
    slug = f"btc-updown-15m-{venue.clock.current_start()}"
    market = market_of(venue.get("/gamma/markets", slug=slug)[0], CALENDAR)
    venue.finish_market()
    return market


async def test_one_half_a_share_is_a_result_that_both_witnesses_must_show(venue):
    """Without a winner, resolved at 0.5 each: settled so, but not by the catalogue alone."""
    market = resolve_without_winner(venue, 0.5)
    found, source = await resolution(venue, market)
    assert found.official
    assert (found.outcome, found.split, source) == (
        None,
        Split(up=Decimal("0.5"), down=Decimal("0.5")),
        "gamma",
    )
    async with httpx.AsyncClient(trust_env=False) as client:
        alone = ResolutionSource(client, f"{venue.url}/gamma", "http://127.0.0.1:9")
        found, _ = await alone.resolution(market)
    assert (found.official, found.grave) == (False, False)
    assert "the order API does not yet" in found.why


async def test_other_parts_are_no_result(venue):
    """There is no rule for 0.7 and 0.3: a person has to check, and the report has the prices."""
    found, _ = await resolution(venue, resolve_without_winner(venue, 0.7))
    assert (found.official, found.grave) == (False, True)
    assert "closed without a winner: Up 0.7, Down 0.3" in found.why


NESTED = "[" * 100_000 + "]" * 100_000
UNREADABLE = {
    "drip": ENDLESS["the body"],
    "nested": answer(NESTED.encode()),
    "huge": answer(b'"' + b"x" * 9_000_000 + b'"'),
    "nested texts": answer(
        json.dumps([{"slug": "?", "closed": True, "outcomes": NESTED, "outcomePrices": NESTED}]).encode()
    ),
}


@pytest.mark.parametrize("how", UNREADABLE)
async def test_a_catalogue_that_cannot_be_read_leaves_the_order_api(venue, over, how, monkeypatch):
    """A slow, nested or huge answer of the catalogue is no answer; the winner of the order API counts."""
    monkeypatch.setattr(outcome_poller, "REQUEST_LIMIT_S", 3.0)  # also of the order API, which must answer
    with RawServer(UNREADABLE[how]) as gamma:
        async with httpx.AsyncClient(trust_env=False) as client:
            work = ResolutionSource(client, gamma.url, venue.url).resolution(over)
            found, source = await asyncio.wait_for(work, 20)
    assert (found.outcome, source) == (winner(venue, over), "clob")


async def test_no_answer_leaves_the_resolution_open(over):
    """When neither source can be reached that is a reason, not an error."""
    async with httpx.AsyncClient(trust_env=False) as client:
        found, _ = await ResolutionSource(client, "http://127.0.0.1:9", "http://127.0.0.1:9").resolution(over)
    assert found.outcome is None
    assert "neither the catalogue nor the order API" in found.why


@pytest.mark.parametrize(
    ("market", "outcome", "fragment"),
    [
        (UP_WON, Outcome.UP, ""),
        (UP_WON | {"outcomes": '["Down", "Up"]'}, Outcome.DOWN, ""),
        (UP_WON | {"closed": False}, None, "has not closed"),
        (UP_WON | {"outcomePrices": '["0.5", "0.5"]'}, None, "without a winner: Up 0.5, Down 0.5"),
        (
            UP_WON | {"outcomePrices": '["0.7", "0.3"]', "umaResolutionStatus": "resolved"},
            None,
            "without a winner: Up 0.7, Down 0.3",
        ),
        (UP_WON | {"outcomePrices": '["0.50", "0.5"]', "umaResolutionStatus": "resolved"}, None, ""),
        (UP_WON | {"outcomePrices": '["1", "1"]'}, None, "without a winner"),
        (UP_WON | {"outcomePrices": '["1", "7.1e+76"]'}, None, "without a winner: Up 1, Down 7.1E+76"),
        (UP_WON | {"outcomePrices": '["1", "0.5"]'}, None, "without a winner"),
        (UP_WON | {"outcomePrices": '["1"]'}, None, "cannot be read"),
        (UP_WON | {"outcomePrices": '["1", "NaN"]'}, None, "cannot be read"),
        (UP_WON | {"umaResolutionStatus": "proposed"}, None, "the resolution is proposed"),
        (UP_WON | {"umaResolutionStatus": "resolved"}, Outcome.UP, ""),
        (UP_WON | {"outcomePrices": "?"}, None, "cannot be read"),
        (UP_WON | {"outcomePrices": NESTED}, None, "cannot be read"),
        (
            UP_WON | {"outcomes": '["\\u001b[2J", "\\u202e"]', "outcomePrices": '["0", "0"]'},
            None,
            r"\x1b[2J 0",
        ),
        (None, None, "not in the catalogue"),
    ],
)
def test_states_of_the_catalogue(market, outcome, fragment):
    """Each state of a market object is interpreted correctly."""
    found = gamma_resolution(market)
    assert found.outcome is outcome
    assert fragment in found.why


class Watched:
    """A poller with a venue, its settlements and its reports of late results."""

    def __init__(self, venue, client, over_since_s: float = 1000.0):
        self.settled: list[Settlement] = []
        self.late: list[str] = []
        self.failures: list[BaseException] = []
        self.broken: Exception | None = None
        self.poller = OutcomePoller(
            ResolutionSource(client, f"{venue.url}/gamma", venue.url),
            self._settle,
            self._late,
            self.failures.append,
            lambda market: -over_since_s,
            time.time_ns,
            POLL_S,
            300.0,
        )

    async def _settle(self, market: Market, outcome_poller: Settlement) -> None:
        if self.broken is not None:
            raise self.broken
        self.settled.append(outcome_poller)

    async def _late(self, market: Market, resolution: ResolutionStatus) -> None:
        self.late.append(resolution.why)

    async def until(self, condition) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, (self.settled, self.late)
            await asyncio.sleep(POLL_S / 2)


async def test_a_market_that_is_never_resolved_is_waited_for(venue, over):
    """It is reported once for each reason, stays visible with its age, and settles when the result comes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        watched = Watched(venue, client)
        venue.fault("resolution_disputed", None)
        watched.poller.add(over)
        watched.poller.add(over)
        await watched.until(lambda: watched.late)
        venue.fault("clob_contradicts", None)
        await client.delete(f"{venue.url}/practice/faults", params={"name": "resolution_disputed"})
        await watched.until(lambda: len(watched.late) == 2)
        assert watched.poller.waiting == [over.slug]
        assert watched.poller.longest_s == 1000.0
        assert watched.poller.expected == []
        assert not watched.settled
        venue.clear_faults()
        await watched.until(lambda: watched.settled)
        assert [one.outcome for one in watched.settled] == [winner(venue, over)]
        assert watched.late[0] == "the resolution is disputed"
        assert watched.poller.longest_s is None
        await watched.poller.close()


async def test_a_resolution_in_time_is_not_reported_late(venue, over):
    """A market that has been over for less than the slowest measured time is not reported as late."""
    async with httpx.AsyncClient(trust_env=False) as client:
        watched = Watched(venue, client, over_since_s=100.0)
        venue.fault("resolution_disputed", None)
        watched.poller.add(over)
        began = time.time_ns()
        await watched.until(lambda: sum(e["wall_ns"] > began for e in venue.get("/practice/log")) > 6)
        assert watched.late == []
        assert watched.poller.expected
        await watched.poller.close()


async def test_a_settlement_that_fails_is_reported(venue, over):
    """An outcome that cannot be recorded is reported, not lost in a background task."""
    async with httpx.AsyncClient(trust_env=False) as client:
        watched = Watched(venue, client)
        watched.broken = Fatal("ledger cannot be written")
        watched.poller.add(over)
        await watched.until(lambda: watched.failures)
        assert watched.failures == [watched.broken]
        await watched.poller.close()
