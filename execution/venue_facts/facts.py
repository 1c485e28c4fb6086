"""The assumptions about the venue, and what confirms or contradicts each of them. Pure.

The practice venue was built from published documentation and from recordings of others; only the real venue
can confirm it. docs/unverified.md is generated from this table.
"""

from collections.abc import Callable

from execution.venue_facts import judges
from execution.venue_facts.judges import Judgement
from execution.venue_facts.observations import Observation
from models import Frozen


class VenueFact(Frozen, frozen=True):
    """One assumption about the venue.

    Attributes
    ----------
    id : str
        Its name in the state folder and in all views; never reused for another assumption.
    claim : str
        What is assumed, Markdown.
    evidence : str
        What a run sees anyway that decides it, or what would be needed.
    judge : Callable[[Observation], Judgement | None]
        Decides it from one observation; None if that shows nothing about it.
    money : bool
        Whether the bot would pay, order or book something else than it expects if the claim is wrong: a
        contradiction halts live trading.
    """

    id: str
    claim: str
    evidence: str
    judge: Callable[[Observation], Judgement | None]
    money: bool = False


FACTS: tuple[VenueFact, ...] = (
    # --- orders
    VenueFact(
        "minimum-order",
        "a marketable BUY of $1.00 is accepted on btc-updown-15m",
        "the answer to an order of exactly $1.00; a refusal for a minimum contradicts it",
        judges.minimum_order,
        money=True,
    ),
    VenueFact(
        "share-decimals",
        "two decimals of pUSD and four of shares are accepted, also at tick 0.001",
        "the answer to an order above 0.96 with four decimals; a refusal for decimals contradicts it",
        judges.share_decimals,
        money=True,
    ),
    VenueFact(
        "order-tick",
        "a price on the market's tick grid is accepted",
        "the answer to an order; a refusal for its price contradicts it",
        judges.order_tick,
        money=True,
    ),
    VenueFact(
        "order-id",
        "the order id is the EIP-712 hash, known before the POST",
        "`orderID` in the answer to an order, compared with `intents.order_id` in the ledger",
        judges.order_id,
        money=True,
    ),
    VenueFact(
        "order-id-v2",
        "a market of Protocol V2 trades under domain version 3 of Exchange V3, and the order id is the hash"
        " under that domain",
        "`orderID` in the answer to an order in a `v2` market, compared with `intents.order_id`",
        judges.order_id_v2,
        money=True,
    ),
    VenueFact(
        "order-status",
        "a FAK order that matches is answered with status `matched`, after the taker delay",
        "the answer to an order, with its time; `delayed` or `live` contradicts it, and is looked up",
        judges.order_status,
    ),
    VenueFact(
        "user-stream",
        "a user-stream subscription without `markets` reports all markets",
        "a fill of a live order on the stream",
        judges.user_stream,
    ),
    VenueFact(
        "trades-v2",
        "`/data/trades` finds the trades of a `v2` market by `asset_id`, its position id",
        "the look-up of an order in a `v2` market, after a lost answer or a restart",
        judges.trades_v2,
    ),
    # --- fees and terms
    VenueFact(
        "fee-rate",
        "the fee is shares × rate × p × (1 − p), with the rate that the market states",
        "the first cash check after a fill: the balance fell by the shares and this fee",
        judges.fee_rate,
        money=True,
    ),
    VenueFact(
        "fee-rounding",
        "the fee is rounded half-up to five decimals",
        "the first cash check after a fill shows a difference of exactly 0",
        judges.fee_rounding,
        money=True,
    ),
    VenueFact(
        "stated-fee",
        "Gamma's `feeSchedule` and `fd` of `/clob-markets` state the same fee",
        "both descriptions of each market before it starts",
        judges.stated_fee,
        money=True,
    ),
    VenueFact(
        "stated-tick",
        "Gamma's `orderPriceMinTickSize` and `mts` of `/clob-markets` are the same before a market starts",
        "both descriptions of each market before it starts",
        judges.stated_tick,
        money=True,
    ),
    VenueFact(
        "stated-minimum",
        "Gamma's `orderMinSize` and `mos` of `/clob-markets` are the same",
        "both descriptions of each market before it starts",
        judges.stated_minimum,
        money=True,
    ),
    VenueFact(
        "stated-delay",
        "`/clob-markets` states with `itode` whether taking orders are delayed",
        "the description of each market before it starts",
        judges.stated_delay,
    ),
    # --- catalogue
    VenueFact(
        "outcome-order",
        "Gamma lists `clobTokenIds` and, in a `v2` market, `positionIds` in the order of `outcomes`",
        "`t` of `/clob-markets`, which names the outcome of each id",
        judges.outcome_order,
        money=True,
    ),
    VenueFact(
        "catalogue-version",
        "Gamma states `version` for each btc-updown market",
        "the catalogue's rows, at each refresh",
        judges.catalogue_version,
    ),
    VenueFact(
        "several-slugs",
        "Gamma accepts several `slug=` in one request",
        "a catalogue answer with at least two of the markets requested",
        judges.several_slugs,
    ),
    VenueFact(
        "ended-market",
        "Gamma finds an ended market with `closed=true` until its outcome is published",
        "the answer with which a market was settled",
        judges.ended_market,
    ),
    # --- market stream
    VenueFact(
        "best-prices",
        "the market stream's best prices are those after the change they come with (paper trading reads"
        " `/book` for each order if not; live, no decision begins while they differ)",
        "the books of a run, compared with `best_bid` and `best_ask` of each change; a difference that stays"
        " for a second contradicts it",
        judges.best_prices,
    ),
    VenueFact(
        "stream-interval",
        "a running market is mentioned on the stream at least every 3 s",
        "the pauses between the messages about the running market",
        judges.stream_interval,
    ),
    VenueFact(
        "tick-change-book",
        "a complete book follows a change of the tick size on the stream",
        "the second after a `tick_size_change`",
        judges.tick_change,
    ),
    VenueFact(
        "mirrored-books",
        "the Down book is the mirror image of the Up book",
        "both complete books in one frame of the stream, with the same timestamp",
        judges.mirrored_books,
    ),
    VenueFact(
        "book-clock",
        "`/book` and the stream carry timestamps of one clock",
        'not decided by a run, which reads no `/book`: `curl -s "$CLOB_URL/book?token_id=…"`, compared with'
        " the `timestamp` of a `price_change` at that time",
        judges.none,
    ),
    VenueFact(
        "market-resolved",
        "`market_resolved` is sent on a stream that subscribed to it, not later than Gamma's outcome",
        "which source had the outcome of a market first, by the mirror that fills the orders of a paper run",
        judges.market_resolved,
    ),
    # --- payouts
    VenueFact(
        "automatic-payout",
        "winners are paid without a manual redemption",
        "the payout of a won position that the bot did not redeem",
        judges.automatic_payout,
    ),
    VenueFact(
        "payout-time",
        "the venue's auto-redeem pays within five minutes, so that the bot does not redeem first",
        "the time from the listing of a won position to its payout; a redemption by the bot contradicts it",
        judges.payout_time,
    ),
    VenueFact(
        "redeemable-list",
        "winning positions are in `/v2/positions?status=REDEEMABLE` with `redeemable` true and a price of 1,"
        " and gone once paid",
        "the list after a win, and after the payout",
        judges.redeemable_list,
    ),
    VenueFact(
        "redemption",
        "`polymarket-client` 0.14.0 redeems for each kind of wallet (verified on loopback, up to the requests"
        " it sends)",
        "a payout after a redemption by the bot: turn auto-redeem off, set `RELAYER_API_KEY`, win once",
        judges.redemption,
    ),
    VenueFact(
        "second-redemption",
        "a second redemption has no effect",
        "not decided by a run, which redeems no paid position: call `redeem_positions` for a paid market, and"
        " the balance does not change",
        judges.none,
    ),
    # --- account
    VenueFact(
        "wallet-balance",
        "the balance endpoint returns the balance of each signature type's own wallet, and 0 for a wrong"
        " type",
        "`python runner.py --live --doctor` reads the balance of all four types",
        judges.wallet_balance,
    ),
    VenueFact(
        "location",
        "`/api/geoblock` answers blocked, country and region",
        "`python runner.py --live --doctor` from the location of the trading machine",
        judges.location,
    ),
    VenueFact(
        "blocked-order",
        "an order from a blocked location is answered with 403",
        "such an answer; it needs an order from a blocked location, which the doctor prevents",
        judges.blocked_order,
    ),
    VenueFact(
        "permission",
        "`/auth/ban-status/closed-only` reports `closed_only`",
        "`python runner.py --live --doctor`",
        judges.permission,
    ),
)

BY_ID = {fact.id: fact for fact in FACTS}


def judge(observation: Observation) -> list[tuple[VenueFact, Judgement]]:
    """What an observation shows, by assumption."""
    found = ((fact, fact.judge(observation)) for fact in FACTS)
    return [(fact, judgement) for fact, judgement in found if judgement is not None]
