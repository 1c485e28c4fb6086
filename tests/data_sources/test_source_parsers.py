import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import feed_payloads as p
import pytest
from example_counts import examples
from feed_servers import HTML
from hypothesis import given, note, settings
from hypothesis import strategies as st

from data_sources.binance.parsers import parse_book_ticker, parse_stream_frame
from data_sources.chainlink.polybolt import parse_polybolt
from data_sources.chainlink.rtds import parse_rtds
from data_sources.coinbase.parsers import parse_spot, parse_ticker
from data_sources.deribit.parsers import parse_book_summary
from data_sources.news_social.parsers import parse_fear_greed, parse_posts
from data_sources.solana.parsers import parse_account
from data_sources.solana.pyth import decode_price_account
from data_sources.types import PythPrice
from errors import Temporary


def _deribit(data: bytes) -> object:
    return parse_book_summary(
        data, underlying="BTC", now_ns=p.NOW_NS, max_dte=2, min_open_interest=Decimal(100)
    )


def _pyth(data: bytes) -> PythPrice:
    return decode_price_account(data, symbol="BTC/USD", slot=p.SLOT, received_ns=p.NOW_NS)


PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "coinbase spot": (lambda b: parse_spot(b, "BTC-USD", p.NOW_NS), p.COINBASE_SPOT),
    "coinbase ticker": (lambda b: parse_ticker(b, "BTC-USD", p.NOW_NS), p.COINBASE_TICKER),
    "deribit": (_deribit, p.DERIBIT_CHAIN),
    "fear and greed": (lambda b: parse_fear_greed(b, p.NOW_NS), p.FEAR_GREED),
    "cryptopanic": (lambda b: parse_posts(b, p.NOW_NS), p.CRYPTOPANIC),
    "binance book": (lambda b: parse_book_ticker(b, "BTCUSDT", p.NOW_NS), p.BINANCE_BOOK),
    "binance streamed book": (
        lambda b: parse_stream_frame(b, "BTCUSDT", p.NOW_NS),
        p.BINANCE_STREAM_BOOK,
    ),
    "solana account": (parse_account, p.pyth_answer(p.pyth_account()[:48])),
    "rtds": (lambda b: parse_rtds(b, "btc/usd", p.NOW_NS), p.rtds_twap()),
    "polybolt": (lambda b: parse_polybolt(b, "btcusd", p.NOW_NS), p.polybolt_twap()),
    "polybolt snapshot": (
        lambda b: parse_polybolt(b, "btcusd", p.NOW_NS),
        p.polybolt_snapshot((p.NOW_MS - 1000, "65000.5"), (p.NOW_MS, "65001.25")),
    ),
}

# Literals in a document: some are invalid JSON, some only overflow the reader.
JUNK = [
    "null", "true", "0", "-1", "1e400", "-0.0", "NaN", "Infinity", "-Infinity", "1e9999999999999999999999",
    "1e999999999999999999", "9" * 30, "9" * 5000,
    '""', '"NaN"', '"Infinity"', '"-1"', '"1e99"', '"1e999999"', '"1_000"', '"٣"',
    '"0x10"', '" 1"', '"99999999999999999999999999999999999999999999"', "[]", "{}", "[[[[[[]]]]]]", '{"a":1}',
    '"\\ud800"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', "253402300800000000",
    '"BTC-99XXX99-1-P"', '"BTC-31FEB27-1-P"', '"AAA=A"', '["a","base64"]', '["A","base64"]', "",
]  # fmt: skip
KEYS = ["data", "result", "payload", "op", "channel", "topic", "results", "s", "value", "error", "e"]
WHOLE = [HTML, b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\xef\xbb\xbf{}", b"PONG", b"<", b'{"a":']

type Paths = list[tuple[Any, ...]]


def _paths(value: object, path: tuple[Any, ...] = ()) -> Paths:
    """Paths to everything inside a document, containers included."""
    found: Paths = [path]
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            found += _paths(child, (*path, key))
    return found


def _with_part_replaced(document: bytes, where: int, junk: str) -> bytes:
    """The document with one part of it exchanged for a literal."""
    parsed = json.loads(document)
    paths = _paths(parsed)
    path = paths[where % len(paths)]
    if not path:
        return junk.encode()
    holder = parsed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = "@junk@"
    return json.dumps(parsed).encode().replace(b'"@junk@"', junk.encode())


def _spoilt(document: bytes, how: int, where: int, other: int, noise: bytes) -> bytes:
    """The document, damaged in one of seven ways."""
    at = where % (len(document) + 1)
    junk, more_junk = JUNK[where % len(JUNK)], JUNK[other % len(JUNK)]
    key, inner = KEYS[where % len(KEYS)], KEYS[other % len(KEYS)]
    return [
        _with_part_replaced(document, other, junk),
        _with_part_replaced(_with_part_replaced(document, other, "null"), where, more_junk),
        document[:at],
        document[:at] + noise + document[at + len(noise) :],
        noise,
        WHOLE[where % len(WHOLE)],
        f'{{"{key}":{junk},"x":{{"{inner}":{more_junk}}},"{inner}":{{"{key}":[{junk}]}}}}'.encode(),
    ][how]


SPOILT = st.tuples(
    st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 5, 6]),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.binary(max_size=12),
)


@pytest.mark.parametrize("name", PARSERS)
def test_parser_reads_the_real_shape(name: str) -> None:
    """Every parser accepts its source's real payload, so that the fuzzing starts from a valid one."""
    parse, document = PARSERS[name]
    assert parse(document)


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(SPOILT)
def test_parsers_are_total(how: tuple[int, int, int, bytes]) -> None:
    """For any bytes, every parser returns or raises Temporary, and nothing else."""
    for name, (parse, document) in PARSERS.items():
        spoilt = _spoilt(document, *how)
        note(f"{name}: {spoilt[:200]!r}")
        with suppress(Temporary):
            parse(spoilt)


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(st.binary(max_size=300) | st.integers(0, 300).map(lambda n: p.pyth_account()[:n]))
def test_pyth_decoder_is_total_on_bytes(data: bytes) -> None:
    """For any account data the decoder raises nothing but Temporary."""
    with suppress(Temporary):
        _pyth(data)


@settings(max_examples=examples(1000), deadline=None, database=None)
@given(st.integers(0, 239), st.binary(min_size=1, max_size=8))
def test_pyth_decoder_is_total_on_corrupted_accounts(at: int, junk: bytes) -> None:
    """Bytes overwritten anywhere in a real account give a positive price or Temporary."""
    account = p.pyth_account()
    try:
        price = decode_price_account(
            account[:at] + junk + account[at + len(junk) :],
            symbol="BTC/USD",
            slot=p.SLOT,
            received_ns=p.NOW_NS,
        )
    except Temporary:
        return
    assert price.price > 0
