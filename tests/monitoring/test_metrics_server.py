"""The metrics port: few threads, short connections, no traceback, whatever a client does."""

import contextlib
import errno
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import pytest

from monitoring.metrics import server as module
from monitoring.metrics.server import BoundedServer, respond


def application(environ, start):
    if environ["PATH_INFO"] == "/broken":
        raise KeyError("a label")
    return respond(start, "200 OK", "text/plain", b"x" * 10_000_000)


@pytest.fixture
def served():
    server = BoundedServer("127.0.0.1", 0, application)
    server.start()
    yield server
    server.close()


@pytest.fixture
def hurried(monkeypatch):
    """Connections last a fifth of a second."""
    monkeypatch.setattr(module, "LIFETIME_S", 0.2)


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=10)


def get(server, path="/") -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10) as answer:
            return len(answer.read())
    except urllib.error.HTTPError as error:
        return error.code


def until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(connection) -> bool:
    """Whether the other side has ended a connection."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_idle_connections_take_sixteen_threads_and_the_others_are_closed(served, monkeypatch):
    """Of a hundred connections that send nothing, 84 are closed at once and 16 hold a thread each."""
    monkeypatch.setattr(module, "LIFETIME_S", 600)
    monkeypatch.setattr(module._Handler, "timeout", 600)
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(served)) for _ in range(100)]
        until(lambda: served.refused == 84)
        assert threading.active_count() - before <= 16
        until(lambda: sum(map(ended, idle)) == 84)
    until(lambda: served.connections == 0)
    assert get(served) == 10_000_000


@pytest.mark.usefixtures("hurried")
def test_an_idle_connection_is_cut(served):
    """Connections that send nothing are closed by the server, and the next scrape is served."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(served)) for _ in range(16)]
        until(lambda: all(map(ended, idle)))
    until(lambda: served.connections == 0)
    assert get(served) == 10_000_000


@pytest.mark.usefixtures("hurried")
def test_a_client_that_drips_is_cut(served):
    """A byte now and then does not prolong a connection."""

    def drips(slow) -> bool:
        try:
            slow.sendall(b"G")
        except (ConnectionError, TimeoutError):
            return False
        return True

    with connect(served) as slow:
        until(lambda: not drips(slow))
    until(lambda: served.connections == 0)


@pytest.mark.usefixtures("hurried")
def test_a_client_that_does_not_read_is_cut(served):
    """A response that is not read does not block its thread."""
    with connect(served) as deaf:
        deaf.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert deaf.recv(1) == b"H"
        until(lambda: served.connections == 0)


def test_the_life_of_a_connection_is_five_seconds():
    """The bound that the tests above shorten."""
    assert module.LIFETIME_S == module._Handler.timeout == 5
    assert module.MOST_CONNECTIONS == 16


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.0\r\n\r\n", b"\x00\xff\r\n\r\n"])
def test_a_reset_is_no_traceback(served, capfd, sent):
    """A connection that is reset, in any state, prints nothing and is no failure."""
    for _ in range(20):
        one = connect(served)
        one.sendall(sent)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    until(lambda: served.connections == 0)
    assert get(served) == 10_000_000
    assert capfd.readouterr() == ("", "")
    assert served.failed == 0


def test_a_request_that_fails_is_answered_and_counted(served, capfd):
    """An error in the application is a 500 for the client; the screen stays clean."""
    assert [get(served, "/broken") for _ in range(3)] == [500, 500, 500]
    assert served.failed == 3
    assert "Traceback" not in "".join(capfd.readouterr())


def test_without_a_thread_the_connection_is_closed_and_the_server_goes_on(served, monkeypatch):
    """The machine's limit of threads costs one connection, and is counted."""
    with monkeypatch.context() as patched:

        def none_left(thread):
            raise RuntimeError("can't start new thread")

        patched.setattr(threading.Thread, "start", none_left)
        with connect(served) as refused:
            assert refused.recv(1) == b""
    assert (served.failed, served.connections) == (1, 0)
    assert get(served) == 10_000_000


def test_without_a_descriptor_accepting_pauses(served, monkeypatch):
    """A connection that cannot be accepted is tried again after a pause, not in a tight loop."""
    pauses, left = [], [5]
    accept, wait = module.TCPServer.get_request, served._closing.wait

    def failing(server):
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(server)

    monkeypatch.setattr(module.TCPServer, "get_request", failing)
    monkeypatch.setattr(served._closing, "wait", lambda s: (pauses.append(s), wait(0.001))[1])
    assert get(served) == 10_000_000
    assert pauses == [0.1] * 5


def test_a_failed_round_does_not_end_the_server(served, monkeypatch):
    """After any failure between two connections the server continues to listen."""
    failed = threading.Event()

    def broken():
        monkeypatch.undo()
        failed.set()
        raise ValueError("bad")

    monkeypatch.setattr(served, "service_actions", broken)
    with connect(served):
        assert failed.wait(10)
    assert get(served) == 10_000_000
    assert served.failed == 1


def test_a_server_without_connections_only_waits(served, monkeypatch):
    """Between two requests its thread does not run: it is woken by a connection or by the end."""
    rounds = []
    look = served.service_actions
    assert get(served) == 10_000_000
    until(lambda: served.connections == 0)
    monkeypatch.setattr(served, "service_actions", lambda: (rounds.append(1), look())[1])
    assert not served._closing.wait(0.35)
    # One round may have begun while the last connection was open.
    assert len(rounds) <= 1
    assert get(served) == 10_000_000


def test_closing_is_quick_with_connections_open():
    """Closing does not wait for idle clients, and the port is free again."""
    server = BoundedServer("127.0.0.1", 0, application)
    server.start()
    with connect(server):
        until(lambda: server.connections == 1)
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 2
    with pytest.raises(ConnectionRefusedError):
        connect(server)
