"""Real Redis servers on free ports, a relay that can be cut, and servers that only imitate Redis."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import redis

from control.mode_store import KEY, Endpoint


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class RedisServer:
    """A Redis of the test's own, without persistence: its data are lost when it ends."""

    def __init__(self, folder, *options: str, port: int | None = None) -> None:
        self.endpoint = Endpoint("127.0.0.1", port or free_port())
        binary = shutil.which("redis-server") or shutil.which("valkey-server")
        assert binary is not None, "the tests need a Redis program (apt install redis-server)"
        self._process = subprocess.Popen(
            [
                *(binary, "--bind", "127.0.0.1", "--port", str(self.endpoint.port), "--dir", str(folder)),
                *("--save", "", "--appendonly", "no", *options),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not self._listens():
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.endpoint.port), 1):
            return True
        return False

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.endpoint.port, protocol=2)

    def set(self, value: str | bytes | None) -> None:
        """Set or delete the key, as `redis-cli` would."""
        with self.client() as client:
            client.delete(KEY)
            if value is not None:
                client.set(KEY, value)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Pretender:
    """A server on loopback that handles each connection with `behave`; closed by the context."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._behave = behave
        self._server = socket.create_server(("127.0.0.1", 0))
        self.closing = threading.Event()
        self.endpoint = Endpoint("127.0.0.1", self._server.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if self.closing.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            self._behave(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.endpoint.port), 1).close()
        self._server.close()
        for thread in self._threads:
            thread.join(5)


class Relay(Pretender):
    """Passes everything on to a Redis; while `cut` is set, it drops every connection at once."""

    def __init__(self, to: Endpoint) -> None:
        self._to = to
        self.cut = False
        super().__init__(self._pass_on)

    def _pass_on(self, near: socket.socket) -> None:
        if self.cut:
            return
        with socket.create_connection(("127.0.0.1", self._to.port), 5) as far:
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def handshake(connection: socket.socket) -> bytes:
    """Answer OK to everything until the mode is requested; returns the request."""
    while data := connection.recv(65536):
        if KEY.encode() in data:
            return data
        connection.sendall(b"+OK\r\n" * data.count(b"*"))
    return b""


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
