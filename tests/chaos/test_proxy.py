"""Each fault of the relay, on real sockets: what the bot's side receives."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from raw_server import RawServer, answer

from tests.chaos.proxy import RELAY_FAULTS, Frame, Relay, garbled, split_frames

BODY = b'{"price": "0.9"}'
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
ONE, TWO, THREE = (b"\x81\x03" + text for text in (b"one", b"two", b"tri"))
SNAPSHOT = b"\x81\x17" + b'[{"event_type":"book"}]'
PONG_FRAME = b"\x8a\x00"
PONG_TEXT = b"\x81\x04PONG"


def frames_on_request(connection: socket.socket) -> None:
    """Upgrade, then three frames and the two kinds of pong for each byte received."""
    connection.sendall(UPGRADED)
    while connection.recv(1):
        for frame in (ONE, PONG_FRAME, TWO, PONG_TEXT, THREE):
            connection.sendall(frame)


@contextmanager
def relayed(tmp_path: Path, serve: Callable[[socket.socket], None]) -> Iterator[tuple[Relay, socket.socket]]:
    """A relay before a server, and a connection through it whose request has been sent."""
    file = tmp_path / "venue.url"
    with RawServer(serve) as server:
        file.write_text(server.url)
        with Relay(file) as relay, connected(relay) as connection:
            yield relay, connection


@contextmanager
def connected(relay: Relay) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(relay.address.rpartition(":")[2])), 5) as connection:
        yield connection


def received(connection: socket.socket, seconds: float = 5.0) -> bytes:
    """Everything until the other side closes, or for a limited time."""
    found, deadline = b"", time.monotonic() + seconds
    with suppress(TimeoutError):
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            part = connection.recv(65536)
            if not part:
                break
            found += part
    return found


def streamed(connection: socket.socket, expected: bytes) -> bytes:
    """The frames of one request, read until as many bytes as expected have come, and no more follow."""
    connection.settimeout(5)
    found = b""
    while len(found) < len(expected):
        part = connection.recv(65536)
        assert part, f"closed after {found!r}"
        found += part
    return found + received(connection, 0.02)


def test_without_a_fault_nothing_changes(tmp_path: Path) -> None:
    """Answer and frames come as the server sent them."""
    with relayed(tmp_path, answer(BODY)) as (_, connection):
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert received(connection).endswith(b"\r\n\r\n" + BODY)
    with relayed(tmp_path, frames_on_request) as (_, connection):
        connection.sendall(b"GET /ws HTTP/1.1\r\n\r\n")
        assert streamed(connection, UPGRADED) == UPGRADED
        connection.sendall(b"?")
        assert streamed(connection, b"." * 23) == ONE + PONG_FRAME + TWO + PONG_TEXT + THREE


def test_a_reset_ends_the_connection_at_once(tmp_path: Path) -> None:
    """In place of the answer; the next connection is served."""
    with relayed(tmp_path, answer(BODY)) as (relay, connection):
        relay.arm("wire_reset", 1)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            received(connection)
        with connected(relay) as second:
            second.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert received(second).endswith(BODY)
        assert relay.struck["wire_reset"] == 1


def test_half_of_an_answer(tmp_path: Path) -> None:
    """The first half of its bytes, and an orderly end."""
    with relayed(tmp_path, answer(BODY)) as (relay, connection):
        relay.arm("wire_half", 1)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        half = received(connection)
        with connected(relay) as second:
            second.sendall(b"GET / HTTP/1.1\r\n\r\n")
            whole = received(second)
    assert half == whole[: len(whole) // 2]


def test_garbage_has_the_length_of_the_answer(tmp_path: Path) -> None:
    """The head is right, the body has other bytes."""
    with relayed(tmp_path, answer(BODY)) as (relay, connection):
        relay.arm("wire_garbage", 1)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) == len(BODY)
    assert all(wrong != right for wrong, right in zip(body, BODY, strict=True))
    assert garbled(garbled(head + b"\r\n\r\n" + BODY)) == head + b"\r\n\r\n" + BODY


@pytest.mark.parametrize(("fault", "seconds"), [("wire_delay", 0.1), ("wire_slow", 0.001)])
def test_an_answer_comes_late_and_whole(fault: str, seconds: float, tmp_path: Path) -> None:
    """Not before the delay; byte by byte, each after its own."""
    with relayed(tmp_path, answer(BODY)) as (relay, connection):
        relay.arm(fault, 1, seconds)
        began = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        found = received(connection)
    assert found.endswith(BODY)
    assert time.monotonic() - began > (seconds if fault == "wire_delay" else seconds * len(found))


def test_a_hanging_connection_continues_when_it_ends(tmp_path: Path) -> None:
    """No byte while it lasts, all of them after it."""
    with relayed(tmp_path, answer(BODY)) as (relay, connection):
        relay.arm("wire_hang", None)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert received(connection, 0.1) == b""
        relay.clear("wire_hang")
        assert received(connection).endswith(BODY)


@pytest.mark.parametrize(
    ("fault", "count", "expected"),
    [
        ("stream_silent", None, b""),
        ("stream_no_pong", None, ONE + TWO + THREE),
        ("stream_duplicated", 1, ONE + ONE + PONG_FRAME + TWO + PONG_TEXT + THREE),
        ("stream_reordered", 1, PONG_FRAME + ONE + TWO + PONG_TEXT + THREE),
        ("stream_missing", 2, PONG_FRAME + PONG_TEXT + THREE),
    ],
    ids=["silent", "no pong", "duplicated", "reordered", "missing"],
)
def test_frames_of_a_stream(fault: str, count: int | None, expected: bytes, tmp_path: Path) -> None:
    """Which frames arrive, in their order; after the fault all of them."""
    with relayed(tmp_path, frames_on_request) as (relay, connection):
        connection.sendall(b"GET /ws HTTP/1.1\r\n\r\n")
        assert streamed(connection, UPGRADED) == UPGRADED
        relay.arm(fault, count)
        connection.sendall(b"?")
        assert streamed(connection, expected) == expected
        while fault == "stream_silent" and relay.struck[fault] < 5:
            time.sleep(0.001)
        relay.clear()
        connection.sendall(b"?")
        assert streamed(connection, b"." * 23) == ONE + PONG_FRAME + TWO + PONG_TEXT + THREE
        assert relay.struck[fault] > 0


def book_first(connection: socket.socket) -> None:
    """Upgrade and a book, then two frames for each byte received."""
    connection.sendall(UPGRADED)
    connection.sendall(SNAPSHOT)
    while connection.recv(1):
        connection.sendall(ONE + PONG_FRAME + TWO)


def test_an_old_book_is_sent_again(tmp_path: Path) -> None:
    """Once after the next frame, unchanged; then the stream goes on."""
    with relayed(tmp_path, book_first) as (relay, connection):
        connection.sendall(b"GET /ws HTTP/1.1\r\n\r\n")
        assert streamed(connection, UPGRADED + SNAPSHOT) == UPGRADED + SNAPSHOT
        relay.arm("stream_stale_book", 1)
        for expected in (ONE + SNAPSHOT + PONG_FRAME + TWO, ONE + PONG_FRAME + TWO):
            connection.sendall(b"?")
            assert streamed(connection, expected) == expected
        assert relay.struck["stream_stale_book"] == 1


def test_without_a_venue_connections_are_reset(tmp_path: Path) -> None:
    """Before the venue has announced its address."""
    relay = Relay(tmp_path / "venue.url")
    # Connecting may fail already.
    with relay, pytest.raises(ConnectionResetError), connected(relay) as connection:
        received(connection)


@pytest.mark.parametrize("length", [0, 5, 125, 126, 65_535, 65_536])
def test_frames_of_every_length_are_split(length: int) -> None:
    """Two frames in any number of parts; the rest is kept until it is complete."""
    if length < 126:
        head = b"\x82" + bytes((length,))
    elif length < 65_536:
        head = b"\x82\x7e" + length.to_bytes(2)
    else:
        head = b"\x82\x7f" + length.to_bytes(8)
    frame = head + b"x" * length
    assert split_frames(frame + ONE) == ([Frame(frame, 2, b"x" * length), Frame(ONE, 1, b"one")], b"")
    for cut in {1, 2, 3, len(frame) - 1} & set(range(1, len(frame))):
        assert split_frames(frame[:cut]) == ([], frame[:cut])


def test_an_unknown_fault_is_refused(tmp_path: Path) -> None:
    """The message has the known ones."""
    with pytest.raises(ValueError, match="unknown fault 'wire_cut'; known: wire_delay"):
        Relay(tmp_path / "venue.url").arm("wire_cut")
    assert all(RELAY_FAULTS.values())
