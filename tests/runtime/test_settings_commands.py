"""`--show-config` and `--new-config`: values with their source, secrets hidden; a `.env` that loads again."""

import io
import stat
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import runner
from config import load_settings
from errors import ConfigError, Fatal
from runtime import settings_commands
from runtime.settings_commands import create_env_file, env_file_text, show_settings

TEST_KEY = "0x" + "11" * 32  # a test key


@pytest.fixture
def env_file(tmp_path, monkeypatch):
    """The `.env` that the settings are read from; no setting in the environment."""
    path = tmp_path / ".env"
    monkeypatch.setattr("config.ENV_FILE", path)
    monkeypatch.setattr("runner.ENV_FILE", path)
    for name in ("STATE_DIR", "LOG_DIR", "NAUTILUS_LOG_DIR", "PAPER_TRADES_FILE"):
        monkeypatch.delenv(name, raising=False)
    return path


def console(width=80):
    return Console(file=io.StringIO(), width=width, color_system=None)


def answer(monkeypatch, *lines):
    """Standard input with these lines."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_each_setting_has_its_value_and_source(env_file, monkeypatch):
    """Changed settings come first, the environment wins, secrets and keys in addresses are hidden."""
    env_file.write_text(
        f"POLYMARKET_PK={TEST_KEY}\nMAX_POSITIONS=3\nPOLYGON_RPC_URL=https://rpc.example/KEY-7\n"
    )
    monkeypatch.setenv("MAX_POSITIONS", "4")
    screen = console(width=120)
    assert show_settings(screen) == 0
    rows = [line.split() for line in screen.file.getvalue().splitlines()]
    assert rows[1:4] == [
        ["MAX_POSITIONS", "4", "environment"],
        ["POLYMARKET_PK", "(set,", "hidden)", ".env"],
        ["POLYGON_RPC_URL", "https://rpc.example", ".env"],
    ]
    assert ["TRADE_WINDOW_START", "780.0", "default"] in rows
    assert rows[-1][:5] == ["3", "of", str(len(rows) - 2), "settings", "are"]
    assert TEST_KEY not in screen.file.getvalue()
    assert "KEY-7" not in screen.file.getvalue()


def test_the_settings_fit_80_columns(env_file):
    """Long values continue on the next line."""
    screen = console()
    show_settings(screen)
    assert max(map(len, screen.file.getvalue().splitlines())) <= 80


def test_a_few_answers_make_a_private_file_that_loads(env_file, monkeypatch):
    """The answers are the settings of the next start; what was left empty has its default."""
    answer(monkeypatch, "yes", "2.50", "", "7", "", "", TEST_KEY, "")
    assert runner.main(["--new-config"]) == 0
    settings = load_settings({}, env_file)
    assert settings.position_size_usd == settings.max_position_size == Decimal("2.50")
    assert settings.market_buy_usd == Decimal("2.50")
    assert (settings.max_loss_per_day, settings.max_total_exposure) == (Decimal(7), Decimal(10))
    assert settings.polymarket_pk.get_secret_value() == TEST_KEY
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_without_live_no_key_is_asked_for(env_file, monkeypatch):
    """Who does not want to trade live is not asked for a key."""
    answer(monkeypatch, "", "", "", "", "", "")
    create_env_file(env_file, console())
    assert not any(line and not line.startswith("#") for line in env_file.read_text().splitlines())


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (("no", "-3"), "POSITION_SIZE_USD is '-3'"),
        (("no", "5", "soon"), "MAX_TOTAL_EXPOSURE is 'soon'"),
        (("no", "5"), "the answers end before the last question"),
    ],
)
def test_a_wrong_answer_writes_nothing(env_file, monkeypatch, lines, wrong):
    """Without a terminal an invalid or missing answer ends the command; no file is left."""
    answer(monkeypatch, *lines)
    with pytest.raises(ConfigError, match=wrong):
        create_env_file(env_file, console())
    assert not env_file.exists()


def test_on_a_terminal_a_wrong_answer_is_asked_again(env_file, monkeypatch):
    """The reason is shown, and the question repeated."""
    answers = iter(["no", "-3", "4", "", "", "", ""])
    monkeypatch.setattr(settings_commands, "_ask", lambda prompt, *, secret: next(answers))
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    screen = console()
    create_env_file(env_file, screen)
    assert "POSITION_SIZE_USD is '-3'" in screen.file.getvalue()
    assert load_settings({}, env_file).position_size_usd == 4


def test_an_existing_file_is_not_touched(env_file, monkeypatch):
    """A `.env` with keys is never overwritten."""
    env_file.write_text("MAX_POSITIONS=3\n")
    with pytest.raises(Fatal, match="exists"):
        create_env_file(env_file, console())
    assert env_file.read_text() == "MAX_POSITIONS=3\n"


@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1).filter(str.strip))
def test_any_value_survives_the_file(tmp_path_factory, value):
    """Quotes, blanks, #, $ and backslashes in a password are read as they were given."""
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_text(env_file_text({"redis_password": value}))
    assert load_settings({}, path).redis_password.get_secret_value() == value.strip()
