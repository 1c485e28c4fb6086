"""The mode store: one value that the operator switches and the bot reads before each order.

It is a key in Redis, or a file in the state folder (`control.mode_file`), with the same values and rules.
"""

import socket
import ssl
from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any, Literal

from common.bounded import bounded
from errors import Temporary
from execution.ledger import Mode
from models import Frozen

KEY = "btc_trading:simulation_mode"
"""`1` simulation, `0` live, missing: the mode that the bot was started with."""
VALUES = {Mode.SIMULATION: b"1", Mode.LIVE: b"0"}
TIMEOUT_S = 0.25
"""Longest wait for each step of a request to Redis; an order waits for the answer."""
BOUND_S = 1.0
"""Longest duration of a complete read, for any server or disk."""
SHOWN = 80
"""Maximum bytes of a value that are read, and characters of it that are shown to the operator."""


class Endpoint(Frozen, frozen=True):
    """Address of a Redis server."""

    host: str
    port: int
    db: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.db}"


class ConfiguredRedis(Endpoint, frozen=True):
    """The Redis of the settings, with its login. Never written to a file."""

    username: str = ""
    password: str = ""
    tls: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return f"ConfiguredRedis({self})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("address", str(self))]

    @property
    def address(self) -> Endpoint:
        """Its address, without the login."""
        return Endpoint(self.host, self.port, self.db)


MODE_FILE = "file"
Location = Endpoint | Literal["file"]
"""A Redis, or `MODE_FILE`: the file in the state folder."""


class ModeValue(StrEnum):
    """Content of the store. Only exactly `0` allows live trading."""

    SIMULATION = "simulation"
    LIVE = "live"
    UNSET = "unset"
    GARBAGE = "garbage"
    LOST = "lost"


class ModeReading(Frozen, frozen=True):
    """One reading of a mode store; `detail` describes it."""

    value: ModeValue
    detail: str


UNSET = ModeReading(ModeValue.UNSET, "no mode is set in the mode store")


def interpret(value: object) -> ModeReading:
    """Interpret a stored value, or its first bytes; pure. Only exactly `0` is live."""
    for mode, stored in VALUES.items():
        if value == stored:
            return ModeReading(ModeValue(mode.value), f"the mode store is set to {mode}")
    return ModeReading(ModeValue.GARBAGE, f"the mode store holds {shown(value)}, which is neither 1 nor 0")


def shown(value: object) -> str:
    """Format an external value for the terminal: ASCII, without control characters, and short."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class ModeStore(ABC):
    """Storage of the mode. Thread-safe."""

    @property
    @abstractmethod
    def location(self) -> Location:
        """Location with which another process opens the same store."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name that identifies this store, also after a restart."""

    @abstractmethod
    def read(self) -> ModeReading:
        """The current value, within `BOUND_S`; never raises."""

    @abstractmethod
    def write(self, mode: Mode) -> None:
        """Set the mode: every read that starts after the return sees it.

        Raises
        ------
        Temporary
            If the store does not contain it afterwards.
        """

    def answers(self) -> bool:
        """Whether it can be read."""
        return self.read().value is not ModeValue.LOST


def listens(endpoint: Endpoint) -> bool:
    """Whether something accepts connections at an address; asked before the client of Redis is imported."""

    def connect() -> None:
        socket.create_connection((endpoint.host, endpoint.port), TIMEOUT_S).close()

    try:
        bounded(connect, BOUND_S, "mode-store")
    except (OSError, UnicodeError):  # also a name that cannot be looked up, or not in time
        return False
    return True


class RedisModeStore(ModeStore):
    """The mode store in Redis. Every request takes at most BOUND_S.

    Parameters
    ----------
    endpoint : Endpoint
        With the login, if it is a `ConfiguredRedis`.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        # Imported here: most runs have no Redis, and its client is slow to import. Not at the first request,
        # which an order may wait for.
        import redis

        self._redis = redis
        self.endpoint = endpoint
        known = isinstance(endpoint, ConfiguredRedis)
        self._login = endpoint if known else ConfiguredRedis(endpoint.host, endpoint.port, endpoint.db)

    def __str__(self) -> str:
        return f"Redis at {self.endpoint}"

    @property
    def location(self) -> Endpoint:
        return self.endpoint.address if isinstance(self.endpoint, ConfiguredRedis) else self.endpoint

    @property
    def name(self) -> str:
        return str(self.endpoint)

    def refusal(self) -> str | None:
        """Why a reachable server does not let the mode be read; None if it does, or if it is not reachable.

        A server that accepts a connection and then closes it, refuses a login or fails at TLS exists.
        """
        try:
            self._ask(None)
        except self._redis.ResponseError as error:
            return _error_text(error)
        except (self._redis.AuthenticationError, self._redis.BusyLoadingError) as error:
            return _error_text(error)
        except Exception as error:  # noqa: BLE001  with a hostile server the client may raise any exception
            tls = self._speaks_tls()
            if tls is True and not self._login.tls:
                return "it wants TLS"
            if tls is False and self._login.tls:
                return "it gives no TLS answer"
            return _error_text(error) if tls and "SSL" in str(error) else None
        return None

    def _speaks_tls(self) -> bool | None:
        """Whether the server uses TLS; None if the port is closed."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            plain = socket.create_connection((self.endpoint.host, self.endpoint.port), TIMEOUT_S)
        except OSError:
            return None
        with plain:
            try:
                context.wrap_socket(plain).close()
            except ssl.SSLError as error:
                # A request for a client certificate is part of TLS.
                return "CERTIFICATE" in (error.reason or "")
            except OSError:
                return False
        return True

    def read(self) -> ModeReading:
        try:
            return self._ask(None)
        except Exception as error:  # noqa: BLE001  with a hostile server the client may raise any exception
            return ModeReading(
                ModeValue.LOST, f"the mode store at {self.endpoint} did not answer: {_error_text(error)}"
            )

    def write(self, mode: Mode) -> None:
        try:
            kept = self._ask(VALUES[mode])
        except Exception as error:  # noqa: BLE001  as above
            raise Temporary(
                f"{mode} cannot be written to the mode store at {self.endpoint}: {_error_text(error)}"
            ) from None
        if kept.value.value != mode.value:
            raise Temporary(
                f"the mode store at {self.endpoint} does not hold {mode} after writing it: {kept.detail}"
            )

    def _ask(self, value: bytes | None) -> ModeReading:
        """The value of the key, after setting it to `value` if that is given."""
        # A new connection for each request: no rest of an earlier answer can be mistaken for this one.
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client = self._redis.Redis(
            host=self.endpoint.host,
            port=self.endpoint.port,
            db=self.endpoint.db,
            username=self._login.username or None,
            password=self._login.password or None,
            ssl=self._login.tls,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="btc-15m-bot",
        )

        def ask() -> ModeReading:
            try:
                if value is not None:
                    client.set(KEY, value)
                return self._read_key(client)
            finally:
                client.close()

        # The client's timeouts apply to each step and each byte, and not to the name look-up.
        try:
            return bounded(ask, BOUND_S, "mode-store")
        except TimeoutError:
            client.connection_pool.disconnect()
            raise

    def _read_key(self, client: Any) -> ModeReading:
        try:
            # The beginning is sufficient: a value may be half a gigabyte long.
            beginning: Any = client.getrange(KEY, 0, SHOWN)
            if beginning == b"" and client.exists(KEY) == 0:
                return UNSET
        except self._redis.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            return ModeReading(
                ModeValue.GARBAGE, "the mode store holds a value of another type, which is neither 1 nor 0"
            )
        return interpret(beginning)


def _error_text(error: Exception) -> str:
    text = str(error)
    return (
        f"{type(error).__name__}: {shown(text)[1:-1]}" if text else f"no complete answer within {BOUND_S:g} s"
    )
