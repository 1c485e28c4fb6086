"""The mode store against real Redis servers, and against servers that only resemble one."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis_servers import Pretender, RedisServer, Relay, free_port, handshake

from control.mode_gate import ModeController
from control.mode_store import BOUND_S, KEY, Endpoint, ModeValue, RedisModeStore
from errors import Temporary
from execution.ledger import Mode

SLACK_S = 1.5
"""Added to the store's guaranteed time limit, for a busy machine."""


def armed(endpoint, tmp_path):
    return ModeController(RedisModeStore(endpoint), True, True, tmp_path / "mode.json")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", ModeValue.SIMULATION),
        ("0", ModeValue.LIVE),
        (None, ModeValue.UNSET),
        ("", ModeValue.GARBAGE),
        ("00", ModeValue.GARBAGE),
        (" 0", ModeValue.GARBAGE),
        ("0\n", ModeValue.GARBAGE),
        ("false", ModeValue.GARBAGE),
        ("live", ModeValue.GARBAGE),
        (b"0\x00", ModeValue.GARBAGE),
        (b"\xff\xfe[/]\x1b[31m", ModeValue.GARBAGE),
    ],
)
def test_only_a_plain_0_is_live(value, expected, redis_server, tmp_path):
    """Exactly `0` is live and exactly no key is unset; every other value is simulation."""
    redis_server.set(value)
    assert RedisModeStore(redis_server.endpoint).read().value is expected
    live = armed(redis_server.endpoint, tmp_path).mode_decision().mode is Mode.LIVE
    assert live is (expected in (ModeValue.LIVE, ModeValue.UNSET))


@pytest.mark.parametrize("kind", ["list", "hash", "set", "stream", "huge"])
def test_a_key_of_another_kind_is_simulation(kind, redis_server, tmp_path):
    """A list, a hash, a set, a stream and a value of 64 MB are values, and not live."""
    with redis_server.client() as client:
        match kind:
            case "list":
                client.rpush(KEY, "0")
            case "hash":
                client.hset(KEY, "0", "0")
            case "set":
                client.sadd(KEY, "0")
            case "stream":
                client.xadd(KEY, {"0": "0"})
            case "huge":
                client.setrange(KEY, 64 * 2**20, "0")
    reading = RedisModeStore(redis_server.endpoint).read()
    assert reading.value is ModeValue.GARBAGE
    assert len(reading.detail) < 200
    assert armed(redis_server.endpoint, tmp_path).mode_decision().mode is Mode.SIMULATION


def test_a_written_mode_is_kept_in_the_configured_database(redis_server):
    """What is written is read again, also by the operator's own tools, and only in its database."""
    store = RedisModeStore(Endpoint("127.0.0.1", redis_server.endpoint.port, 2))
    store.write(Mode.SIMULATION)
    assert store.read().value is ModeValue.SIMULATION
    with redis.Redis(port=redis_server.endpoint.port, db=2, protocol=2) as client:
        assert client.get("btc_trading:simulation_mode") == b"1"
    assert RedisModeStore(redis_server.endpoint).read().value is ModeValue.UNSET
    store.write(Mode.LIVE)
    assert store.read().value is ModeValue.LIVE


# --- servers that are not Redis ------------------------------------------------------------------


def _drip(connection, head=b"", each=b"O"):
    connection.sendall(head)
    while True:
        connection.sendall(each)
        time.sleep(0.02)


def _hold(connection):
    """Send nothing until the other side closes."""
    while connection.recv(65536):
        pass


def _after_handshake(then):
    def behave(connection):
        handshake(connection)
        then(connection)

    return behave


def _answers(*answers):
    """After the handshake, one answer to each request, the last one repeatedly."""

    def then(connection):
        for answer in answers:
            connection.sendall(answer)
            connection.recv(65536)
        while connection.recv(65536):
            connection.sendall(answers[-1])

    return _after_handshake(then)


HOSTILE = {
    "garbage": lambda c: c.sendall(b"\x00\xffHTTP/1.1 200 OK\r\n\r\n0\r\n$1\r\n0\r\n"),
    "garbage after the handshake": _answers(b"\x00\xff\r\n"),
    "a web server": lambda c: (c.recv(65536), c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "silence": _hold,
    "hangs up": lambda c: None,
    "hangs up when asked": _after_handshake(lambda c: None),
    "half an answer, then the end": _after_handshake(lambda c: c.sendall(b"$1\r\n")),
    "half an answer, then silence": _after_handshake(lambda c: (c.sendall(b"$1\r\n0"), _hold(c))),
    "a drip": _drip,
    "a drip of an answer": _after_handshake(lambda c: _drip(c, b"$1000000\r\n", b"0")),
    "a drip of line": _after_handshake(lambda c: _drip(c, b"+")),
    "a flood": _after_handshake(lambda c: _drip(c, b"$536870912\r\n", b"0" * 65536)),
    "a bulk of negative length": _answers(b"$-7\r\n0\r\n"),
    "nested arrays": _answers(b"*1\r\n" * 50_000 + b"$1\r\n0\r\n"),
    "an array with the value": _answers(b"*1\r\n$1\r\n0\r\n"),
    "a number": _answers(b":0\r\n"),
    "nothing": _answers(b"$-1\r\n"),
    "empty, then no number": _answers(b"$0\r\n\r\n", b"$1\r\n0\r\n"),
    "a simple string": _answers(b"+\r\n"),
    "loading": _answers(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "moved": _answers(b"-MOVED 1234 127.0.0.1:1\r\n"),
    "no script kiddies": _answers(b"-ERR unknown command 'GETRANGE'\r\n"),
}


def test_what_is_no_redis_never_leads_to_a_live_order(tmp_path):
    """Whatever a server sends instead of an answer, an armed bot may not order, and this is known in time."""

    def ask(name):
        (tmp_path / name).mkdir()
        with Pretender(HOSTILE[name]) as pretender:
            controller = armed(pretender.endpoint, tmp_path / name)
            began = time.monotonic()
            mode_decision = controller.mode_decision()
            return time.monotonic() - began, mode_decision

    with ThreadPoolExecutor(len(HOSTILE)) as pool:  # in parallel, because most of them only wait
        answers = dict(zip(HOSTILE, pool.map(ask, HOSTILE), strict=True))
    for name, (seconds, mode_decision) in answers.items():
        assert not (mode_decision.mode is Mode.LIVE and mode_decision.allows_orders), (name, mode_decision)
        assert seconds < BOUND_S + SLACK_S, name


def test_an_unreachable_store_is_lost(tmp_path):
    """A refused connection and a name that does not resolve are a lost store; the message has the address."""
    for endpoint in (Endpoint("127.0.0.1", free_port()), Endpoint("no-such-host.invalid", 6379)):
        reading = RedisModeStore(endpoint).read()
        assert reading.value is ModeValue.LOST
        assert str(endpoint) in reading.detail
        mode_decision = armed(endpoint, tmp_path).mode_decision()
        assert (mode_decision.mode, mode_decision.allows_orders) == (Mode.LIVE, False)


def test_a_name_server_that_hangs_is_bounded_too(monkeypatch):
    """A look-up of the host that never ends does not delay an order longer than the bound."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(BOUND_S + 2) or [])
    began = time.monotonic()
    assert RedisModeStore(Endpoint("redis.example", 6379)).read().value is ModeValue.LOST
    assert time.monotonic() - began < BOUND_S + SLACK_S


def test_a_password_that_is_asked_for_is_no_answer(tmp_path):
    """A Redis that requires authentication is lost, and the reason is given."""
    server = RedisServer(tmp_path, "--requirepass", "a test's own")
    try:
        reading = RedisModeStore(server.endpoint).read()
        assert reading.value is ModeValue.LOST
        assert "uthentication" in reading.detail
    finally:
        server.stop()


def test_a_frozen_redis_is_lost_in_time_and_is_back_when_it_is(own_redis, tmp_path):
    """Frozen, it stops new positions within the bound; thawed, trading continues."""
    own_redis.set("0")
    controller = armed(own_redis.endpoint, tmp_path)
    assert controller.mode_decision().allows_orders
    own_redis.freeze()
    began = time.monotonic()
    assert not controller.mode_decision().allows_orders
    assert time.monotonic() - began < BOUND_S + SLACK_S
    own_redis.thaw()
    assert controller.mode_decision().allows_orders


def test_a_flapping_redis_is_believed_only_while_it_answers(redis_server, tmp_path):
    """With every other connection dropped, each answer is either the store's own or a refusal of orders."""
    redis_server.set("0")
    with Relay(redis_server.endpoint) as relay:
        controller = armed(relay.endpoint, tmp_path)
        for number in range(6):
            relay.cut = bool(number % 2)
            assert controller.mode_decision().allows_orders is not relay.cut
        redis_server.set("1")
        for number in range(6):
            relay.cut = bool(number % 2)
            assert controller.mode_decision().mode is Mode.SIMULATION


def test_a_store_that_confirms_and_keeps_nothing_is_detected(own_redis):
    """A write counts once it can be read again: a store that confirms and does not keep it is detected."""
    with own_redis.client() as client:
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(Temporary, match="cannot be written to"):
        RedisModeStore(own_redis.endpoint).write(Mode.SIMULATION)
    with (
        Pretender(_answers(b"+OK\r\n", b"$1\r\n0\r\n")) as forgetful,
        pytest.raises(Temporary, match="does not hold"),
    ):
        RedisModeStore(forgetful.endpoint).write(Mode.SIMULATION)
