"""The process-wide sources."""

import pytest

from data_sources.binance import get_binance_source, reset_binance_source
from data_sources.chainlink import get_chainlink_source, reset_chainlink_source
from data_sources.coinbase import get_coinbase_source, reset_coinbase_source
from data_sources.deribit import get_deribit_source, reset_deribit_source
from data_sources.news_social import get_news_social_source, reset_news_social_source
from data_sources.solana import get_solana_source, reset_solana_source
from errors import Fatal

ALL = [
    (get_binance_source, reset_binance_source),
    (get_coinbase_source, reset_coinbase_source),
    (get_deribit_source, reset_deribit_source),
    (get_news_social_source, reset_news_social_source),
    (get_solana_source, reset_solana_source),
]


@pytest.mark.parametrize(("get", "reset"), ALL)
async def test_source_is_made_once_with_the_first_settings(get, reset) -> None:
    """The second call returns the same instance, other settings are refused, a reset starts anew."""
    first = get("eth", base_url="http://127.0.0.1:1")
    assert get() is first
    assert get("eth", base_url="http://127.0.0.1:1") is first
    with pytest.raises(Fatal, match="already exists with other settings"):
        get("btc")
    assert reset() is first
    second = get("btc", base_url="http://127.0.0.1:1")
    assert second is not first
    for source in (first, reset()):
        await source.aclose()


async def test_chainlink_is_made_once_as_well() -> None:
    """Chainlink opens nothing, so there is nothing to close."""
    first = get_chainlink_source("btc", rtds_url=None)
    assert get_chainlink_source() is first
    assert reset_chainlink_source() is first
    assert reset_chainlink_source() is None
