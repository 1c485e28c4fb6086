"""The parsers' results for the real payloads, number by number."""

from decimal import Decimal

import feed_payloads as p
import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from data_sources.binance.parsers import parse_book_ticker, parse_stream_frame
from data_sources.chainlink.polybolt import PolyBoltCredentials, parse_polybolt
from data_sources.chainlink.rtds import parse_rtds
from data_sources.coinbase.parsers import parse_spot, parse_ticker
from data_sources.deribit.parsers import parse_book_summary, parse_instrument
from data_sources.news_social.parsers import blend, classify, parse_fear_greed, parse_posts
from data_sources.parsing import number
from data_sources.solana.pyth import decode_price_account
from data_sources.types import BookTicker, MalformedPayload, PriceKind
from errors import Temporary
from models import PutCall, Sentiment

DAY_NS = 86_400_000_000_000


def _put_call(*rows: dict[str, object], now_ns: int = p.NOW_NS, minimum: int = 100) -> PutCall:
    return parse_book_summary(
        p.book_summary(*rows),
        underlying="BTC",
        now_ns=now_ns,
        max_dte=2,
        min_open_interest=Decimal(minimum),
    )


def test_coinbase_spot_keeps_every_digit() -> None:
    """The amount's digits become a Decimal, and a cached answer has the age of the cache's header."""
    spot = parse_spot(p.COINBASE_SPOT, "BTC-USD", p.NOW_NS, held_ns=5)
    assert (spot.price, spot.source_ns, spot.received_ns) == (Decimal("68923.67"), p.NOW_NS - 5, p.NOW_NS)


def test_coinbase_spot_of_another_pair_is_malformed() -> None:
    """A price of another pair than requested is rejected."""
    with pytest.raises(MalformedPayload, match="requested ETH-USD, received 'BTC-USD'"):
        parse_spot(p.COINBASE_SPOT, "ETH-USD", p.NOW_NS)


def test_coinbase_ticker_has_the_exchange_time() -> None:
    """The ticker's own time is kept to the microsecond."""
    ticker = parse_ticker(p.COINBASE_TICKER, "BTC-USD", p.NOW_NS)
    assert p.NOW_NS - ticker.source_ns == 1_455_222_000
    assert (ticker.bid, ticker.ask, ticker.volume) == (
        Decimal("68923.66"),
        Decimal("68923.67"),
        Decimal("7712.40291093"),
    )


def test_deribit_ratios_are_over_totals() -> None:
    """Overall counts every expiry, short the near ones, and no strike is dropped for being small."""
    ratios = parse_book_summary(
        p.DERIBIT_CHAIN, underlying="BTC", now_ns=p.NOW_NS, max_dte=2, min_open_interest=Decimal(100)
    )
    assert ratios.put_open_interest == 1330.5
    assert ratios.call_open_interest == 3220.5
    assert ratios.overall == pytest.approx(1330.5 / 3220.5)
    assert ratios.short == pytest.approx(330.5 / 220.5)
    assert ratios.source_ns == p.NOW_NS


def test_deribit_minimum_holds_for_the_total_of_each_ratio() -> None:
    """A thin near expiry gives no short ratio, and a thin chain none at all."""
    rows = [p.option("BTC-23NOV26-68000-P", 30.0), p.option("BTC-23NOV26-70000-C", 20.0)]
    far = [p.option("BTC-25DEC26-60000-P", 60.0), p.option("BTC-25DEC26-80000-C", 60.0)]
    assert _put_call(*rows, *far).short is None
    with pytest.raises(Temporary, match="too thin"):
        _put_call(*rows)


def test_deribit_without_calls_is_no_ratio() -> None:
    """A zero divisor is an absent ratio, not a ratio of one."""
    with pytest.raises(Temporary, match="too thin"):
        _put_call(p.option("BTC-23NOV26-68000-P", 300.0))


def test_deribit_options_expire_at_eight_utc() -> None:
    """An option counts until 08:00 UTC of its day and not a nanosecond longer."""
    option = parse_instrument("BTC-23NOV26-68000-P")
    assert option is not None
    expiry_ns = option.expiry_ns
    assert (expiry_ns - p.NOW_NS) / 3.6e12 == 20.0
    today = [p.option("BTC-23NOV26-68000-P", 300.0), p.option("BTC-23NOV26-70000-C", 200.0)]
    assert _put_call(*today, now_ns=expiry_ns - 1).overall == 1.5
    with pytest.raises(Temporary):
        _put_call(*today, now_ns=expiry_ns)


@pytest.mark.parametrize(("days_left_ns", "near"), [(3 * DAY_NS - 1, True), (3 * DAY_NS, False)])
def test_deribit_days_to_expiry_are_whole_days(days_left_ns: int, near: bool) -> None:
    """Two days to expiry means less than three times twenty-four hours."""
    option = parse_instrument("BTC-25DEC26-60000-P")
    assert option is not None
    rows = [p.option("BTC-25DEC26-60000-P", 300.0), p.option("BTC-25DEC26-80000-C", 200.0)]
    ratios = _put_call(*rows, now_ns=option.expiry_ns - days_left_ns)
    assert (ratios.short is not None) is near


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "BTC-25DEC26", "BTC-31FEB26-1-C", "BTC-1XXX26-1-C", ""])
def test_deribit_other_instruments_are_no_options(name: str) -> None:
    """Futures, impossible dates and invalid names are not options."""
    assert parse_instrument(name) is None


def test_deribit_linear_options_are_recognised() -> None:
    """Among the USDC-settled options only those of the asset count, decimal strikes included."""
    option = parse_instrument("XRP_USDC-28MAR27-0d55-P")
    assert option is not None
    assert (option.underlying, option.is_put) == ("XRP_USDC", True)


def test_deribit_reports_an_error_answer() -> None:
    """Deribit's error object, sent with status 200, is an error and not an empty chain."""
    data = p.body({"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}})
    with pytest.raises(Temporary, match="too_many_requests"):
        parse_book_summary(data, underlying="BTC", now_ns=1, max_dte=2, min_open_interest=Decimal(1))


def test_fear_greed_expires_when_its_payload_states() -> None:
    """Score, classification, publication time and lifetime come from the payload."""
    index = parse_fear_greed(p.FEAR_GREED, p.NOW_NS)
    assert (index.sentiment.score, index.sentiment.classification) == (22.0, "Extreme Fear")
    assert index.sentiment.source_ns == p.NOW_NS - DAY_NS // 2
    assert index.lifetime_s == 43_200


@pytest.mark.parametrize(("stated", "lifetime"), [("0", 60), ("-5", 60), ("999999", 86_400), (None, 43_200)])
def test_fear_greed_lifetime_is_bounded(stated: str | None, lifetime: float) -> None:
    """Close to its renewal, or missing, the lifetime stays between a minute and a day."""
    entry = {"value": "50", "value_classification": "Neutral", "timestamp": "1700000000"}
    data = p.body({"data": [entry | {"time_until_update": stated}]})
    assert parse_fear_greed(data, p.NOW_NS).lifetime_s == lifetime


def test_news_score_is_the_share_of_positive_votes() -> None:
    """Twelve of twenty votes are positive; the newest post gives the time."""
    news = parse_posts(p.CRYPTOPANIC, p.NOW_NS)
    assert (news.positive, news.negative, news.score) == (12, 8, 60.0)
    assert (p.NOW_NS - news.source_ns) / 6e10 == 20.0


def test_news_without_votes_are_no_opinion() -> None:
    """No votes give no score, and leave the index unchanged."""
    news = parse_posts(p.body({"results": []}), p.NOW_NS)
    index = parse_fear_greed(p.FEAR_GREED, p.NOW_NS).sentiment
    assert news.score is None
    assert blend(index, news, 0.3) is index


def test_blend_names_its_parts() -> None:
    """Seventy percent index and thirty percent news, under both names."""
    mood = blend(
        parse_fear_greed(p.FEAR_GREED, p.NOW_NS).sentiment, parse_posts(p.CRYPTOPANIC, p.NOW_NS), 0.3
    )
    assert isinstance(mood, Sentiment)
    assert mood.score == pytest.approx(0.7 * 22 + 0.3 * 60)
    assert (mood.source, mood.classification) == ("fear_greed+cryptopanic", "Fear")


@pytest.mark.parametrize(
    ("score", "name"),
    [
        (24, "Extreme Fear"),
        (25, "Fear"),
        (45, "Neutral"),
        (55, "Neutral"),
        (56, "Greed"),
        (76, "Extreme Greed"),
    ],
)
def test_classes_are_the_index_own(score: float, name: str) -> None:
    """The bands' edges are those of the index."""
    assert classify(score) == name


def test_binance_quote_from_rest_and_stream_agree() -> None:
    """The two notations of the same quote give the same quote."""
    rest = parse_book_ticker(p.BINANCE_BOOK, "BTCUSDT", p.NOW_NS)
    streamed = parse_stream_frame(p.BINANCE_STREAM_BOOK, "BTCUSDT", p.NOW_NS)
    assert isinstance(streamed, BookTicker)
    assert rest == streamed
    assert rest.mid == Decimal("68930.02")


def test_binance_other_events_are_passed_over() -> None:
    """An acknowledgement or a trade is no quote; another symbol's quote is an error."""
    assert parse_stream_frame(b'{"result":null,"id":1}', "BTCUSDT", 1) is None
    assert parse_stream_frame(p.BINANCE_STREAM_TRADE, "BTCUSDT", 1) is None
    with pytest.raises(MalformedPayload):
        parse_stream_frame(p.BINANCE_STREAM_BOOK, "ETHUSDT", 1)


def test_pyth_account_is_decoded_at_the_right_offsets() -> None:
    """Every neighbouring field holds another value, so that a wrong offset gives a wrong number."""
    price = decode_price_account(p.pyth_account(), symbol="BTC/USD", slot=p.SLOT, received_ns=p.NOW_NS)
    assert price.price == Decimal("68923.456")
    assert price.confidence == Decimal("34.5")
    assert (price.trading, price.pub_slot, price.slot) == (True, p.SLOT - 4, p.SLOT)
    assert price.source_ns == p.NOW_NS - 2_000_000_000


@pytest.mark.parametrize(
    ("change", "value"),
    [("magic", 1), ("version", 1), ("type", 2), ("price_type", 0), ("exponent", 400), ("price", -1)],
)
def test_pyth_account_of_another_kind_is_malformed(change: str, value: int) -> None:
    """Magic, version, types, exponent and sign are all checked."""
    with pytest.raises(MalformedPayload):
        decode_price_account(p.pyth_account(**{change: value}), symbol="x", slot=1, received_ns=1)


def test_pyth_halted_price_is_not_trading() -> None:
    """Only status 1 is trading."""
    account = p.pyth_account(status=2)
    assert not decode_price_account(account, symbol="x", slot=p.SLOT, received_ns=1).trading


@settings(max_examples=examples(300), deadline=None, database=None)
@given(st.decimals(min_value="0.001", max_value="1000000", places=8))
def test_both_relays_publish_the_same_exact_price(price: Decimal) -> None:
    """A price in units of 1e-18 and as a decimal text is the same price, to the last digit."""
    common = {"value": float(price), "timestamp": p.NOW_MS}
    rtds = {"symbol": "btc/usd", "full_accuracy_value": str(int(price.scaleb(18))), "window_s": 60}
    bolt = {"symbol": "btcusd", "full_accuracy_value": f"{price:f}", "window_seconds": 60}
    (one,) = parse_rtds(
        p.body({"topic": "crypto_prices_twap_sixty", "payload": common | rtds}), "btc/usd", p.NOW_NS
    )
    (two,) = parse_polybolt(
        p.body({"channel": "price.crypto.twap", "payload": common | bolt}), "btcusd", p.NOW_NS
    ).prices
    assert one.price == two.price == price
    assert one.kind is two.kind is PriceKind.TWAP60


def test_exact_value_that_contradicts_the_rounded_one_is_malformed() -> None:
    """Neither notation makes 1e-18 · 42 agree with 65000.5: then the frame is rejected."""
    payload = {"symbol": "btc/usd", "value": 65000.5, "full_accuracy_value": "42", "timestamp": p.NOW_MS}
    with pytest.raises(MalformedPayload, match="contradicts"):
        parse_rtds(p.body({"topic": "crypto_prices_twap_sixty", "payload": payload}), "btc/usd", 1)


def test_rtds_without_rounded_value_is_in_small_units() -> None:
    """Alone, a huge integer is in units of 1e-18 USD."""
    payload = {"symbol": "btc/usd", "full_accuracy_value": "65000500000000000000000", "timestamp": p.NOW_MS}
    (price,) = parse_rtds(p.body({"topic": "crypto_prices_twap_sixty", "payload": payload}), "btc/usd", 1)
    assert price.price == Decimal("65000.5")


@pytest.mark.parametrize(
    "frame", [b"PONG", b"", p.rtds_twap(symbol="eth/usd"), p.body({"topic": "comments"})]
)
def test_rtds_other_frames_bring_nothing(frame: bytes) -> None:
    """Pongs, other symbols and other topics give no observations."""
    assert parse_rtds(frame, "btc/usd", p.NOW_NS) == ()


def test_average_over_another_window_is_malformed() -> None:
    """A thirty-second mean is never taken for the sixty-second one."""
    with pytest.raises(MalformedPayload, match="30"):
        parse_rtds(p.rtds_twap().replace(b'"window_s": 60', b'"window_s": 30'), "btc/usd", 1)


def test_polybolt_prices_of_other_providers_are_passed_over() -> None:
    """Only Chainlink's observations settle the market."""
    frame = p.polybolt_twap().replace(b'"chainlink"', b'"pyth"')
    assert parse_polybolt(frame, "btcusd", 1).prices == ()


def test_credentials_do_not_show() -> None:
    """Printing the credentials shows none of them."""
    shown = f"{PolyBoltCredentials(api_key='K1', secret='S1', passphrase='P1')}"
    assert "K1" not in shown
    assert "S1" not in shown
    assert "P1" not in shown


@settings(max_examples=examples(500), deadline=None, database=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="-1e20", max_value="1e20", places=12))
def test_numbers_survive_as_text_exactly(value: Decimal) -> None:
    """A number given as text keeps its value, whatever its sign and size."""
    assert number("x", "y", f"{value:f}") == value


@pytest.mark.parametrize(
    "value", [True, None, "NaN", "inf", "1e50", "1_0", "", "٣", [], {}, Decimal("NaN"), 10**50]
)
def test_numbers_that_are_none_are_refused(value: object) -> None:
    """Booleans, nulls, NaN, infinities and overlong numbers are rejected."""
    with pytest.raises(MalformedPayload):
        number("x", "y", value)
