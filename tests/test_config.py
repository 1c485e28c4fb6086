"""Settings: an invalid one is named with its key, its value and what is allowed."""

import re

import pytest

from config import ROOT, Settings, env_example, load_settings, open_to_others
from errors import ConfigError


def test_defaults_need_nothing(tmp_path):
    """An empty environment gives the documented defaults."""
    settings = load_settings({}, tmp_path / ".env")
    assert settings == Settings()
    assert settings.max_price_history == 100


@pytest.mark.parametrize(
    ("key", "value", "fragment"),
    [
        ("TREND_UP_THRESHOLD", "2", "TREND_UP_THRESHOLD is '2'"),
        ("MARKET_TIMEFRAME", "1h", "'5m', '15m' or '4h'"),
        ("WEIGHT_SPIKE", "0.9", "a sum of at most 1"),
        ("POSITION_SIZE_USD", "5", r"at most MARKET_BUY_USD \(1.00\)"),
        ("POSITION_SIZE_USD", "0.99", "greater than or equal to 1"),
        ("TRADE_WINDOW_START", "850", "below TRADE_WINDOW_END"),
        ("TREND_DOWN_THRESHOLD", "0.7", "below TREND_UP_THRESHOLD"),
        ("ORDER_MAX_ATTEMPTS", "many", "ORDER_MAX_ATTEMPTS is 'many'"),
        ("TRADER_ID", "nodash", "TRADER_ID is 'nodash'"),
        ("FUSION_MIN_WEIGHT", "-0.1", "FUSION_MIN_WEIGHT is '-0.1'"),
        ("STATE_DIR", "a" * 300, "allowed: a path: File name too long"),
        ("LOG_DIR", "~nobody-of-this-name/x", "the home folder of its user is not known"),
        ("MARKET_INTERVAL_SECONDS", "300", "SECONDS is 300, allowed: 900, as MARKET_TIMEFRAME is 15m"),
        ("TELEGRAM_CHAT_ID", "-100200300", "TELEGRAM_CHAT_ID is '-100200300', allowed: .*greater than 0"),
        ("TELEGRAM_CHAT_ID", "me", "TELEGRAM_CHAT_ID is 'me', allowed: .*integer"),
        ("TELEGRAM_CHAT_ID", "5", "TELEGRAM_TOKEN, TELEGRAM_CHAT_ID is one of two, allowed: both or none"),
        ("TELEGRAM_TOKEN", "5:short", r"TELEGRAM_TOKEN is \(secret\), allowed: the token from @BotFather"),
        ("TELEGRAM_API_URL", "http://example.com", "begins with https://, or http:// on this machine"),
    ],
)
def test_a_bad_value_is_named(key, value, fragment, tmp_path):
    """The error has key, value and what is allowed, and its exit code is 2."""
    with pytest.raises(ConfigError, match=fragment) as caught:
        load_settings({key: value}, tmp_path / ".env")
    assert caught.value.exit_code == 2


def test_a_minimum_weight_that_no_vote_can_reach_is_named(tmp_path):
    """More than all weights together would refuse every market; exactly all of them requires unanimity."""
    weights = {"WEIGHT_ORDERBOOK": "0.2", "WEIGHT_TICK_VELOCITY": "0.2"}
    assert load_settings(weights | {"FUSION_MIN_WEIGHT": "0.85"}, tmp_path / ".env").fusion_min_weight == 0.85
    with pytest.raises(ConfigError, match=r"FUSION_MIN_WEIGHT is 0.86, allowed: .*weights \(0.85\)"):
        load_settings(weights | {"FUSION_MIN_WEIGHT": "0.86"}, tmp_path / ".env")


def test_the_interval_of_older_settings_has_to_agree(tmp_path):
    """MARKET_INTERVAL_SECONDS has no effect: it is accepted where it agrees with MARKET_TIMEFRAME."""
    env = tmp_path / ".env"
    for timeframe, seconds in (("5m", 300), ("15m", 900), ("4h", 14_400)):
        given = {"MARKET_TIMEFRAME": timeframe, "MARKET_INTERVAL_SECONDS": str(seconds)}
        assert load_settings(given, env).interval_seconds == seconds
    with pytest.raises(ConfigError, match="is 900, allowed: 14400, as MARKET_TIMEFRAME is 4h"):
        load_settings({"MARKET_TIMEFRAME": "4h", "MARKET_INTERVAL_SECONDS": "900"}, env)


def test_an_unknown_key_in_env_file_stops_the_start(tmp_path):
    """A misspelt key is an error with a suggestion, never silently without effect."""
    file = tmp_path / ".env"
    file.write_text("TREND_UP_TRESHOLD=0.7\n")
    with pytest.raises(ConfigError, match="did you mean TREND_UP_THRESHOLD"):
        load_settings({}, file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_env_file_of_a_windows_editor_is_read(encoding, tmp_path):
    """With a byte order mark, in UTF-16 as PowerShell writes it, with its line ends and other letters."""
    file = tmp_path / ".env"
    file.write_bytes("# größer\r\nTREND_UP_THRESHOLD=0.7\r\nREDIS_PASSWORD='hüsh'\r\n".encode(encoding))
    settings = load_settings({}, file)
    assert str(settings.trend_up_threshold) == "0.7"
    assert settings.redis_password.get_secret_value() == "hüsh"


@pytest.mark.parametrize(
    "content",
    ["TREND_UP_THRESHOLD=0.7".encode("utf-16-le"), "# größer".encode("latin-1"), b"A\0=1", b"\xff\xfe\x00"],
)
def test_an_env_file_in_another_encoding_is_named(content, tmp_path):
    """One line states what to do, without a traceback and without the content."""
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"\.env is not a UTF-8 text\. Save it as UTF-8"):
        load_settings({}, file)


def test_a_bad_secret_is_named_without_its_value(tmp_path):
    """An invalid secret is named by its key; its value is not repeated."""
    file = tmp_path / ".env"
    file.write_text("POLYMARKET_FUNDER=test-not-an-address\nPOLYMARKET_PK=test-key-not-a-secret\n")
    with pytest.raises(ConfigError, match="POLYMARKET_FUNDER") as caught:
        load_settings({}, file)
    assert "test-key" not in str(caught.value)


def test_a_readable_env_file_is_noticed(tmp_path):
    """An .env that other users can read is distinguished from one that only its owner can."""
    file = tmp_path / ".env"
    file.write_text("")
    file.chmod(0o644)
    assert open_to_others(file)
    file.chmod(0o600)
    assert not open_to_others(file)


def test_the_environment_wins_over_the_file(tmp_path):
    """A variable of the environment overrides the same key of .env; other variables are ignored."""
    file = tmp_path / ".env"
    file.write_text("MAX_SLIPPAGE=0.03\nMIN_EDGE=\n")
    settings = load_settings({"MAX_SLIPPAGE": "0.01", "UNRELATED": "x"}, file)
    assert str(settings.max_slippage) == "0.01"
    assert settings.min_edge is None


def test_env_example_lists_every_setting():
    """.env.example is the generated one, and names each setting once."""
    text = (ROOT / ".env.example").read_text()
    assert text == env_example()
    keys = re.findall(r"^#([A-Z0-9_]+)=", text, re.MULTILINE)
    assert sorted(keys) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_uncommented_is_accepted(tmp_path):
    """Every default in .env.example, taken literally, is a valid setting."""
    lines = [
        re.sub(r"\s+#.*$", "", line[1:]) for line in env_example().splitlines() if re.match(r"#[A-Z]", line)
    ]
    file = tmp_path / ".env"
    file.write_text("\n".join(lines))
    assert load_settings({}, file) == Settings()


def test_series_are_the_product_of_two_lists(tmp_path):
    """Each timeframe of each asset, in the order of the settings; spaces are allowed."""
    given = {"MARKET_ASSET": "eth, btc", "MARKET_TIMEFRAME": "15m,5m"}
    settings = load_settings(given, tmp_path / ".env")
    assert [series.name for series in settings.series] == ["eth-15m", "eth-5m", "btc-15m", "btc-5m"]
    one = settings.of_series(settings.series[1])
    assert (one.market_asset, one.market_timeframe, one.interval_seconds) == ("eth", "5m", 300)
    assert [series.name for series in Settings().series] == ["btc-15m"]


@pytest.mark.parametrize(
    ("given", "fragment"),
    [
        (
            {"MARKET_ASSET": "btc,pepe"},
            r"MARKET_ASSET is 'btc,pepe', allowed: 'btc', 'eth', .* or 'zec', or several",
        ),
        ({"MARKET_ASSET": "btc,btc"}, "separated by commas, each once"),
        ({"MARKET_TIMEFRAME": "5m,,15m"}, "MARKET_TIMEFRAME is '5m,,15m', allowed: '5m', '15m' or '4h'"),
        (
            {"MARKET_TIMEFRAME": "5m,15m", "MARKET_INTERVAL_SECONDS": "300"},
            "MARKET_INTERVAL_SECONDS is 300, allowed: none, as MARKET_TIMEFRAME is 5m,15m",
        ),
    ],
)
def test_a_bad_list_is_named(given, fragment, tmp_path):
    """An unknown asset or timeframe, a repeated and an empty one, and a length beside several."""
    with pytest.raises(ConfigError, match=fragment):
        load_settings(given, tmp_path / ".env")


def test_what_needs_one_series_names_all_that_are_given(tmp_path):
    """Recording and backtests play one series; with several they end before they begin."""
    settings = load_settings({"MARKET_ASSET": "btc,eth"}, tmp_path / ".env")
    with pytest.raises(ConfigError, match=r"needs one series, .* give 2: btc-15m, eth-15m"):
        _ = settings.interval_seconds
