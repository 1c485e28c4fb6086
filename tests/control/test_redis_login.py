"""A Redis with a password, users or TLS: it is used with its login, and ends the start without."""

import subprocess

import msgspec
import pytest
import redis
from redis_servers import Pretender, RedisServer, free_port

import redis_control
from config import load_settings
from control.last_mode_switch import LAST_SWITCH_FILE
from control.locks import hold_state
from control.mode_gate import ModeController
from control.mode_store import KEY, ConfiguredRedis, ModeValue, RedisModeStore
from control.mode_switch import switch_to_live, switch_to_simulation
from control.running import WHEREABOUTS, choose_store, find_store, open_store, running_store
from errors import ConfigError
from execution.ledger import Mode

SECRET = "a test's own, n\u00f6 other"


@pytest.fixture(scope="module")
def with_password(tmp_path_factory):
    """A Redis whose default user has a password."""
    server = RedisServer(tmp_path_factory.mktemp("password"), "--requirepass", SECRET)
    yield server.endpoint.port
    server.stop()


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory):
    """A Redis with TLS only, with a certificate of a CA of its own; port and the CA's file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    port = free_port()
    server = RedisServer(
        folder,
        *("--tls-port", str(port), "--port", "0", "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(folder / "cert.pem"), "--tls-key-file", str(folder / "key.pem")),
        port=port,
    )
    yield port, folder / "cert.pem"
    server.stop()


def test_with_its_password_a_switch_in_it_is_obeyed(with_password, tmp_path):
    """The bot reads it, redis_control.py writes it, and no file of the state folder contains the password."""
    configured = ConfiguredRedis("127.0.0.1", with_password, 3, password=SECRET)
    with hold_state(tmp_path), find_store(configured, tmp_path) as found:
        assert found.store.name == f"127.0.0.1:{with_password}/3"
        controller = ModeController(found.store, True, True, tmp_path / LAST_SWITCH_FILE)
        switch_to_live(configured, tmp_path)
        assert controller.mode_decision().mode is Mode.LIVE
        # Directly in this Redis, as another program would.
        with redis.Redis(port=with_password, db=3, password=SECRET, protocol=2) as client:
            client.set(KEY, "1")
        assert controller.mode_decision().mode is Mode.SIMULATION
        switch_to_simulation(configured, tmp_path)
        location = msgspec.json.decode((tmp_path / WHEREABOUTS).read_bytes())
        assert location == {"host": "127.0.0.1", "port": with_password, "db": 3}
        found_again = running_store(tmp_path, configured)
        assert found_again.read().value is ModeValue.SIMULATION
        assert open_store(found.store.location, tmp_path, configured).answers()
        assert not any(SECRET in file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    for shown in (configured, found.store, found):
        assert SECRET not in f"{shown} {shown!r}"


def test_a_user_of_its_own_logs_in(with_password):
    """With REDIS_USERNAME the user's own password counts."""
    with redis.Redis(port=with_password, password=SECRET, protocol=2) as admin:
        admin.acl_setuser("bot", enabled=True, passwords=["+hush"], keys=["*"], categories=["+@all"])
    assert RedisModeStore(
        ConfiguredRedis("127.0.0.1", with_password, username="bot", password="hush")
    ).answers()
    refused = RedisModeStore(ConfiguredRedis("127.0.0.1", with_password, username="bot", password="wrong"))
    assert "invalid username-password pair" in refused.refusal()


@pytest.mark.parametrize(
    ("login", "why"),
    [({}, "Authentication"), ({"password": "wrong"}, "invalid"), ({"tls": True}, "it gives no TLS answer")],
)
def test_a_redis_that_refuses_stops_the_start(with_password, tmp_path, login, why):
    """Without the right login the bot does not fall back to a store of its own that no operator switches."""
    configured = ConfiguredRedis("127.0.0.1", with_password, **login)
    with pytest.raises(ConfigError, match=f"answers and refuses: .*{why}.*REDIS_PASSWORD"):
        choose_store(configured, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_redis_that_speaks_tls(with_tls, tmp_path, monkeypatch):
    """REDIS_TLS works if its certificate is trusted; without, or with an unknown one, the start ends."""
    port, authority = with_tls
    with pytest.raises(ConfigError, match="it wants TLS"):
        choose_store(ConfiguredRedis("localhost", port), tmp_path)
    configured = ConfiguredRedis("localhost", port, tls=True)
    with pytest.raises(ConfigError, match="CERTIFICATE_VERIFY_FAILED"):
        choose_store(configured, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    store = choose_store(configured, tmp_path).store
    store.write(Mode.SIMULATION)
    assert store.read().value is ModeValue.SIMULATION
    assert RedisModeStore(ConfiguredRedis("localhost", port, tls=True)).read().value is ModeValue.SIMULATION


def test_what_is_no_redis_is_no_redis(tmp_path):
    """A closed port, or a server of another kind, is an absent Redis: the mode file is used, as before."""
    absent = ConfiguredRedis("127.0.0.1", free_port(), password="hush")
    assert "no answer from Redis" in choose_store(absent, tmp_path).description

    def web_server(connection) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Pretender(web_server) as pretender:
        other = ConfiguredRedis("127.0.0.1", pretender.endpoint.port)
        assert "no answer from Redis" in choose_store(other, tmp_path).description


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {
                "REDIS_HOST": "h",
                "REDIS_PORT": "7",
                "REDIS_USERNAME": "u",
                "REDIS_PASSWORD": "p",
                "REDIS_TLS": "true",
            },
            ("h", 7, 2, "u", "p", True),
        ),
        ({"REDIS_URL": "rediss://u:p%40s@h.example:7/4"}, ("h.example", 7, 4, "u", "p@s", True)),
        ({"REDIS_URL": "redis://:p@h", "REDIS_DB": "5"}, ("h", 6379, 5, "", "p", False)),
    ],
)
def test_settings_of_the_login(given, expected, tmp_path):
    """Single settings, or one URL in their place; a URL without a database uses REDIS_DB."""
    settings = load_settings(given, tmp_path / "none")
    assert tuple(settings.redis.values()) == expected
    assert "p@s" not in repr(settings)


@pytest.mark.parametrize(
    "url", ["http://:hush@h", "redis://", "redis://:hush@h/x", "redis://:hush@h:99999", "redis://[:hush@h"]
)
def test_a_bad_url_is_named_without_its_password(url, tmp_path):
    """The setting is named, its value is not shown."""
    with pytest.raises(ConfigError, match="REDIS_URL") as caught:
        load_settings({"REDIS_URL": url}, tmp_path / "none")
    assert "hush" not in str(caught.value)


def test_status_shows_a_redis_that_refuses(with_password, tmp_path, monkeypatch, capsys):
    """The operator's command names it and the reason, and does not fall back silently."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(with_password))
    monkeypatch.setenv("COLUMNS", "250")
    assert redis_control.main(["status"]) == 0
    shown = capsys.readouterr().out
    assert f"Redis at 127.0.0.1:{with_password}/2 (for the next bot): the mode store at" in shown
    assert "uthentication" in shown
