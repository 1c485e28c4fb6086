"""The supervisor of streams: against scripted connections in virtual time, and real flapping servers."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import feed_payloads as p  # pyright: ignore[reportMissingImports]
import pytest
from example_counts import examples
from feed_servers import socket_server, until  # pyright: ignore[reportMissingImports]
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import now, run
from websockets.asyncio.server import ServerConnection

from core.ingestion.managers.websocket_manager import Backoff, StreamState, WebSocketManager
from data_sources.chainlink.rtds import RtdsStream
from data_sources.types import ChainPrice, MalformedPayload, RateLimited, StreamClosed
from errors import Refused, Temporary


@dataclass
class Session:
    """One scripted connection: how connecting goes, what is sent, and how it ends."""

    connect: str = "ok"  # ok | fail | hang | refuse | limited
    frames: int = 0
    every_s: float = 1.0
    end: str = "close"  # close | hang | error | refuse | drain


class Script:
    """A Stream that plays sessions one after the other, the last of them repeatedly."""

    name = "scripted"

    def __init__(self, *sessions: Session, ping_text: str | None = None, subscribe: str = "ok") -> None:
        self.ping_text = ping_text
        self.ping_every_s = 5.0
        self.connected_at: list[float] = []
        self.open = 0
        self.most_open = 0
        self.subscriptions = 0
        self.pings: list[float] = []
        self._sessions = sessions
        self._subscribe = subscribe

    async def connect(self) -> "Line":
        session = self._sessions[min(len(self.connected_at), len(self._sessions) - 1)]
        self.connected_at.append(now())
        if session.connect == "fail":
            raise Temporary("no route")
        if session.connect == "refuse":
            raise Refused("HTTP 451")
        if session.connect == "limited":
            raise RateLimited("HTTP 429", 90.0)
        if session.connect == "hang":
            await asyncio.Event().wait()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return Line(self, session)

    async def subscribe(self, channel: object) -> None:
        self.subscriptions += 1
        if self._subscribe == "fail":
            raise Temporary("not authed")
        if self._subscribe == "hang":
            await asyncio.Event().wait()

    def feed(self, frame: bytes) -> bool:
        if frame == b"junk":
            raise MalformedPayload("junk")
        if frame == b"bug":
            raise KeyError("a fault of ours")
        return frame == b"data"


class Line:
    """The channel of a scripted session."""

    def __init__(self, script: Script, session: Session, frame: bytes = b"data") -> None:
        self._script = script
        self._session = session
        self._left = session.frames
        self._frame = frame
        self._closed = False

    async def send(self, text: str) -> None:
        self._script.pings.append(now())

    async def recv(self) -> bytes:
        if self._left > 0:
            self._left -= 1
            await asyncio.sleep(self._session.every_s)
            return self._frame
        if self._session.end == "hang":
            await asyncio.Event().wait()
        if self._session.end == "refuse":
            raise Refused("4001")
        if self._session.end == "drain":
            raise StreamClosed("4003", spread_s=10.0)
        if self._session.end == "error":
            raise Temporary("reset")
        raise StreamClosed("closed with 1000")

    async def aclose(self) -> None:
        assert not self._closed, "closed twice"
        self._closed = True
        self._script.open -= 1


BACKOFF = Backoff(base_s=1, cap_s=60, max_attempts=6, stable_s=30, stale_s=20, connect_s=10)


def _manager(script: Script, jitter: float = 0.5, backoff: Backoff = BACKOFF) -> WebSocketManager:
    return WebSocketManager(script, backoff=backoff, monotonic=now, jitter=lambda: jitter)


async def _play(script: Script, seconds: float, jitter: float = 0.5) -> WebSocketManager:
    manager = _manager(script, jitter)
    manager.start()
    await asyncio.sleep(seconds)
    return manager


SESSIONS = st.lists(
    st.builds(
        Session,
        connect=st.sampled_from(["ok", "ok", "ok", "fail", "hang"]),
        frames=st.integers(0, 60),
        every_s=st.floats(0, 25),
        end=st.sampled_from(["close", "hang", "error", "drain"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(200), deadline=None, database=None)
@given(SESSIONS, st.floats(0, 0.999))
def test_it_cannot_spin(sessions: list[Session], jitter: float) -> None:
    """However a server flaps, there is a pause before every connection, and attempts are bounded."""
    script = Script(*sessions)
    seconds = 3600.0

    async def scenario() -> WebSocketManager:
        manager = await _play(script, seconds, jitter)
        state = manager.state
        await manager.aclose()
        manager.state = state
        return manager

    manager = run(scenario())
    gaps = [later - first for first, later in pairwise(script.connected_at)]
    assert all(gap >= 0.5 * BACKOFF.base_s - 1e-6 for gap in gaps)
    assert len(script.connected_at) <= 1 + seconds / (0.5 * BACKOFF.base_s)
    assert manager.connects == len(script.connected_at)
    assert script.open == 0
    assert script.most_open <= 1
    # Only sessions with data for `stable_s` reset the number of attempts; there are at most len(sessions) - 1
    # of them before the last, which repeats.
    last = sessions[-1]
    if last.connect != "ok" or last.frames * last.every_s < BACKOFF.stable_s:
        assert len(script.connected_at) <= BACKOFF.max_attempts * len(sessions)


@pytest.mark.parametrize("session", [Session(connect="fail"), Session(), Session(end="error")])
def test_useless_server_is_given_up_in_the_open(session: Session) -> None:
    """Failing, cleanly closing, resetting: the pauses double, and after the last attempt it is FAILED."""
    script = Script(session)

    async def scenario() -> WebSocketManager:
        return await _play(script, 10_000)

    manager = run(scenario())
    assert manager.state is StreamState.FAILED
    assert "gave up after 6 attempts" in manager.last_error
    gaps = [later - first for first, later in pairwise(script.connected_at)]
    assert gaps == pytest.approx([0.75, 1.5, 3, 6, 12], abs=0.01)


@settings(max_examples=examples(200), deadline=None, database=None)
@given(st.integers(0, 10_000), st.floats(0, 0.999999))
def test_pause_is_between_half_and_all_of_its_ceiling(attempts: int, jitter: float) -> None:
    """Half of the pause is constant and none exceeds the maximum, however many attempts there were."""
    pause = BACKOFF.pause(attempts, jitter)
    ceiling = min(60.0, 2.0 ** min(max(attempts - 1, 0), 10))
    assert 0.5 * ceiling <= pause <= ceiling <= BACKOFF.cap_s


@pytest.mark.parametrize(
    ("session", "why"), [(Session(connect="refuse"), "451"), (Session(frames=2, end="refuse"), "4001")]
)
def test_refusal_is_final(session: Session, why: str) -> None:
    """A blocked country or wrong credentials are not tried again."""
    script = Script(session)

    async def scenario() -> WebSocketManager:
        return await _play(script, 10_000)

    manager = run(scenario())
    assert (manager.state, manager.connects) == (StreamState.FAILED, 1)
    assert why in manager.last_error


def test_failed_stream_starts_again_with_a_full_budget() -> None:
    """The owner of the stream may start it again."""
    script = Script(*[Session(connect="fail")] * 6, Session(frames=10_000))

    async def scenario() -> None:
        manager = await _play(script, 1000)
        assert manager.state is StreamState.FAILED
        manager.start()
        await asyncio.sleep(10)
        assert manager.state is StreamState.CONNECTED
        manager.start()
        await asyncio.sleep(10)
        assert manager.connects == 7
        await manager.aclose()
        assert manager.state is StreamState.DISCONNECTED

    run(scenario())


def test_silence_leads_to_a_new_connection() -> None:
    """Data that are missing for 20 s end the session, also while the server still answers pings."""
    script = Script(Session(frames=3, end="hang"), Session(frames=10_000), ping_text="PING")

    async def scenario() -> WebSocketManager:
        manager = await _play(script, 60)
        assert manager.state is StreamState.CONNECTED
        assert "no data for 20.0 s" in manager.last_error
        await manager.aclose()
        return manager

    run(scenario())
    assert script.connected_at == pytest.approx([0, 23.75], abs=0.1)
    assert script.subscriptions == 2, "a new connection is subscribed anew"


def test_signs_of_life_are_no_data() -> None:
    """A stream that only sends PONG is as stale as a silent one."""

    class Ponging(Script):
        async def connect(self) -> Line:
            await super().connect()
            return Line(self, Session(frames=10_000), b"PONG")

    script = Ponging(Session())

    async def scenario() -> None:
        manager = await _play(script, 50)
        assert manager.connects >= 2
        assert manager.data_age_s() is None
        await manager.aclose()

    run(scenario())


def test_pings_are_sent_in_time() -> None:
    """Every five seconds, and only where the server requires them."""
    with_ping, without = Script(Session(frames=100), ping_text="PING"), Script(Session(frames=100))

    async def scenario() -> None:
        managers = [_manager(with_ping), _manager(without)]
        for manager in managers:
            manager.start()
        await asyncio.sleep(21)
        for manager in managers:
            await manager.aclose()

    run(scenario())
    assert with_ping.pings == pytest.approx([5, 10, 15, 20], abs=0.05)
    assert without.pings == []


@pytest.mark.parametrize("script", [Script(Session(connect="hang")), Script(Session(), subscribe="hang")])
def test_connecting_has_a_deadline(script: Script) -> None:
    """A handshake or subscription that never ends is aborted after ten seconds."""

    async def scenario() -> None:
        manager = await _play(script, 10.5)
        assert "not connected and subscribed within 10 s" in manager.last_error
        assert script.open == 0
        await manager.aclose()

    run(scenario())


def test_failed_subscription_closes_the_connection() -> None:
    """A connection that cannot be subscribed is not left open."""
    script = Script(Session(frames=5), subscribe="fail")

    async def scenario() -> None:
        manager = await _play(script, 300)
        assert manager.state is StreamState.FAILED

    run(scenario())
    assert script.open == 0


def test_rate_limit_of_a_handshake_is_kept() -> None:
    """After a 429 with ninety seconds there is no attempt before that time."""
    script = Script(Session(connect="limited"), Session(frames=1000))

    async def scenario() -> None:
        manager = await _play(script, 100)
        await manager.aclose()

    run(scenario())
    assert script.connected_at == pytest.approx([0, 90])


def test_drained_clients_come_back_spread() -> None:
    """After 4003 the pause is a random part of ten seconds, if that is longer than the usual one."""
    script = Script(Session(end="drain"), Session(frames=1000))

    async def scenario() -> None:
        manager = await _play(script, 30, jitter=0.8)
        await manager.aclose()

    run(scenario())
    assert script.connected_at == pytest.approx([0, 8.0])


def test_unreadable_frames_are_counted_and_passed_over() -> None:
    """Invalid frames do not end a session, but are no data either: with nothing else the stream is stale."""

    class Junk(Script):
        async def connect(self) -> Line:
            await super().connect()
            return Line(self, Session(frames=10_000), b"junk")

    script = Junk(Session())

    async def scenario() -> None:
        manager = await _play(script, 19)
        assert (manager.connects, manager.malformed) == (1, 18)
        await asyncio.sleep(10)
        assert manager.connects == 2
        await manager.aclose()

    run(scenario())


def test_fault_of_ours_does_not_leave_a_dead_stream_that_looks_alive() -> None:
    """An error that no source declares ends in FAILED with its name."""

    class Buggy(Script):
        async def connect(self) -> Line:
            await super().connect()
            return Line(self, Session(frames=1), b"bug")

    async def scenario() -> None:
        manager = await _play(Buggy(Session()), 5)
        assert manager.state is StreamState.FAILED
        assert "stopped by KeyError" in manager.last_error
        await manager.aclose()

    run(scenario())


@settings(max_examples=examples(200), deadline=None, database=None)
@given(SESSIONS, st.floats(0, 200))
def test_closing_leaves_nothing_behind(sessions: list[Session], after_s: float) -> None:
    """Whenever it is closed, no connection stays open and no task continues."""
    script = Script(*sessions)

    async def scenario() -> int:
        manager = await _play(script, after_s)
        await manager.aclose()
        return len(asyncio.all_tasks()) - 1

    assert run(scenario()) == 0
    assert script.open == 0


async def test_real_flapping_server_is_survived() -> None:
    """A server that drops every connection after two prices keeps delivering, subscribed anew each time."""
    received: list[ChainPrice] = []
    subscribed: list[bytes | str] = []

    async def flapping(connection: ServerConnection) -> None:
        subscribed.append(await connection.recv())
        for i in range(2):
            at_ms = p.NOW_MS + 1000 * (2 * len(subscribed) + i)
            await connection.send(p.rtds_twap(at_ms=at_ms).decode())
        if len(subscribed) % 2:
            connection.transport.abort()

    patience = Backoff(base_s=0.02, cap_s=0.02, max_attempts=50)
    async with socket_server(flapping) as url:
        stream = RtdsStream(url, "btc/usd", received.append, lambda: p.NOW_NS, 1)
        manager = WebSocketManager(stream, backoff=patience)
        manager.start()
        await until(lambda: len(subscribed) >= 5)
        await manager.aclose()
    assert len(set(subscribed)) == 1
    assert manager.disconnects >= 4
    assert len({price.source_ns for price in received}) >= 8


async def test_real_server_gets_its_pings() -> None:
    """RTDS requires the text PING; its PONG is not parsed as a price."""
    sent: list[bytes | str] = []

    async def server(connection: ServerConnection) -> None:
        async for message in connection:
            sent.append(message)
            await connection.send("PONG")

    async with socket_server(server) as url:
        stream = RtdsStream(url, "btc/usd", lambda price: None, lambda: p.NOW_NS, 1)
        stream.ping_every_s = 0.02
        manager = WebSocketManager(stream)
        manager.start()
        await until(lambda: sent.count("PING") >= 3)
        assert manager.state is StreamState.CONNECTED
        assert (manager.frames, manager.malformed) == (0, 0)
        await manager.aclose()
