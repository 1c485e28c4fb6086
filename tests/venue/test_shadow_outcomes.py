"""Settlement of mirrored markets: by the upstream's official outcome, whenever and however it arrives."""

from pathlib import Path

import pytest
from shadow_builders import Pair, mirrored_pair, until, upstream_only

from venue.amounts import MICRO

pytestmark = pytest.mark.asyncio

SHARES = 1_612_903
"""Shares bought with one pUSD at 0.62."""


async def holding(pair: Pair) -> tuple[str, int]:
    """An account with $1 of Up; its address, and its balance after the purchase."""
    trader = pair.trader()
    await pair.place(trader, trader.buy(pair.market.up_token, 100, 620))
    return trader.address, pair.balance(trader)


def balance(pair: Pair, address: str) -> int:
    account = pair.shadow.ledger.account(address)
    assert account is not None
    return account.balance


def end(pair: Pair, seconds: float = 0.0) -> None:
    """Let the market end at the upstream and be resolved there."""
    pair.clock.forward(900 + pair.upstream.market.resolution_delay + seconds)
    pair.upstream.venue.step()


@pytest.mark.parametrize(("up_wins", "paid"), [(True, SHARES), (False, 0)])
async def test_the_event_of_the_resolution_settles_at_once(up_wins: bool, paid: int) -> None:
    """The stream sends the outcome, and the account is paid by it without a request to the catalogue."""
    async with mirrored_pair() as pair:
        pair.upstream.source.outcome = up_wins
        address, before = await holding(pair)
        end(pair)
        await until(lambda: pair.shadow.exchange.up_won(pair.market) is up_wins)
        assert balance(pair, address) == before + paid
        assert pair.asked("closed=true") == 0
        assert pair.source.info()["resolved_by"] == {pair.market.slug: "stream"}
        await pair.source.look_for_markets()
        assert pair.doubt() == "not mirrored"


@pytest.mark.parametrize("silent", ["", "gamma_500"])
@pytest.mark.parametrize("up_wins", [True, False])
async def test_without_the_event_the_catalogue_resolves_and_without_that_the_order_api(
    silent: str, up_wins: bool
) -> None:
    """Each of the two other sources is sufficient."""
    async with mirrored_pair() as pair:
        pair.upstream.source.outcome = up_wins
        address, before = await holding(pair)
        await pair.vanish()
        end(pair)
        if silent:
            pair.upstream.venue.faults.arm(silent, None, {})
        await pair.serve()
        await pair.source.look_for_outcomes()
        pair.shadow.step()
        assert pair.shadow.exchange.up_won(pair.market) is up_wins
        assert balance(pair, address) == before + (SHARES if up_wins else 0)
        assert pair.asked("/markets/0x") == (1 if silent else 0)
        # The stream was lost before: that it had no event shows nothing about the venue.
        assert pair.source.info()["resolved_by"] == {}


async def test_an_outcome_is_never_the_mirrors_own() -> None:
    """While the upstream does not resolve there is no outcome, and the requests become less frequent."""
    async with mirrored_pair() as pair:
        pair.upstream.venue.faults.arm("resolution_never", None, {})
        address, before = await holding(pair)
        end(pair)
        for _ in range(1200):
            pair.clock.forward(3)
            await pair.source.look_for_outcomes()
            pair.shadow.step()
        assert pair.shadow.exchange.up_won(pair.market) is None
        assert balance(pair, address) == before
        assert 60 <= pair.asked(f"slug={pair.market.slug}&") <= 150
        pair.upstream.venue.faults.clear(None)
        pair.upstream.venue.step()
        await until(lambda: pair.shadow.exchange.up_won(pair.market) is True)
        assert balance(pair, address) == before + SHARES


async def test_a_restart_after_hours_pays_before_it_serves(tmp_path: Path) -> None:
    """The venue was stopped when its market ended: with the same state it still pays by the outcome."""
    async with upstream_only(tmp_path) as pair:
        await pair.mirrored()
        address, before = await holding(pair)
        slug = pair.market.slug
        await pair.gone()
        end(pair, 5 * 3600)
        pair.mirror()
        await pair.shadow.start()
        market = pair.shadow.schedule.by_slug(slug)
        assert market is not None
        assert pair.shadow.exchange.up_won(market) is True
        assert balance(pair, address) == before + SHARES
        assert before + SHARES > 1000 * MICRO
        await pair.gone()
        pair.mirror()
        assert pair.shadow.exchange.up_won(market) is True
        await pair.gone()


async def test_a_restart_inside_a_market_goes_on_with_the_same_account(tmp_path: Path) -> None:
    """Position, balance and market survive; the mirror is synchronised again and the outcome still pays."""
    async with upstream_only(tmp_path) as pair:
        await pair.mirrored()
        address, before = await holding(pair)
        await pair.gone()
        pair.clock.forward(60)
        await pair.mirrored()
        (position,) = pair.shadow.ledger.positions_of(address)
        assert (position.shares, balance(pair, address)) == (SHARES, before)
        end(pair)
        await until(lambda: pair.shadow.exchange.up_won(pair.market) is True)
        assert balance(pair, address) == before + SHARES
        await pair.gone()
