"""Client for the part of Grafana's HTTP API that the import needs; each error names what to do about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from errors import ConfigError, Fatal

TIMEOUT_S = 10.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHOWN = 160
"""Characters of Grafana's error text that are repeated to the operator."""


@dataclass(frozen=True)
class Credentials:
    """A service account's token, or a user's name and password. The repr shows neither."""

    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)

    def check(self) -> Self:
        """Return itself if it is complete and names exactly one way to sign in.

        Raises
        ------
        ConfigError
        """
        if self.token and (self.user or self.password):
            raise ConfigError("both a token and a user are given", "Give GRAFANA_TOKEN or GRAFANA_USER")
        if not self.token and not (self.user and self.password):
            missing = "GRAFANA_PASSWORD" if self.user else "GRAFANA_USER" if self.password else ""
            raise ConfigError(
                f"{missing} is not set" if missing else "there are no credentials",
                "Set GRAFANA_TOKEN to a service account's token, or GRAFANA_USER and GRAFANA_PASSWORD",
            )
        together = self.token + self.user + self.password
        if not (together.isascii() and together.isprintable()):
            raise ConfigError("the credentials contain non-ASCII characters", "Copy them again")
        return self

    @property
    def text(self) -> str:
        return "token" if self.token else f"password of {self.user!r}"


@dataclass(frozen=True)
class ApiAnswer:
    """Grafana's answer and its status; `body` is the JSON, always an object or a list."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        text = self.body.get("message", "") if isinstance(self.body, Mapping) else ""
        return str(text)[:SHOWN] or f"status {self.status}"

    @property
    def code(self) -> str:
        """Grafana's short name of the reason, such as ``version-mismatch``."""
        return str(self.body.get("status", "")) if isinstance(self.body, Mapping) else ""


class Grafana:
    """A client for one Grafana and one user. A context manager.

    Parameters
    ----------
    url : str
        Its address, including the path it is served under, if any.
    credentials : Credentials
    timeout_s : float

    Raises
    ------
    ConfigError
        If the address or the credentials are invalid.
    """

    def __init__(self, url: str, credentials: Credentials, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise ConfigError(
                "the address of Grafana holds credentials", "Put them into GRAFANA_USER and GRAFANA_PASSWORD"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{url!r} is not an address of a Grafana server", "Give one such as http://127.0.0.1:3000"
            )
        self.url = url.rstrip("/")
        self._who = credentials.check()
        by_token = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}
        self._client = httpx.Client(
            headers={"Accept": "application/json", **by_token},
            auth=None if credentials.token else (credentials.user, credentials.password),
            timeout=timeout_s,
            trust_env=parts.hostname not in LOOPBACK,  # no proxy for an address on this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> ApiAnswer:
        """Send a request for `path`, which begins with /api.

        Raises
        ------
        Fatal
            If there is no answer, if the answer is not Grafana's, if the credentials are rejected (401), or
            on a server error (5xx). The caller handles every other status.
        """
        try:
            response = self._client.request(method, self.url + path, json=body)
        except httpx.TimeoutException:
            raise Fatal(
                f"Grafana at {self.url} did not answer in time", "Try again, or give --timeout"
            ) from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Fatal(
                f"no answer from {self.url} ({type(error).__name__})",
                "Start Grafana, or give its address with --url or GRAFANA_URL",
            ) from None
        if response.is_redirect:
            where = str(response.headers.get("location", ""))[:SHOWN]
            raise Fatal(f"{self.url} redirects to {where}", "Give the address of Grafana's API itself")
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise Fatal(
                f"Grafana does not accept the {self._who.text} (401)",
                "Make a token under Administration → Service accounts (role Admin), and set GRAFANA_TOKEN",
            )
        answer = ApiAnswer(response.status_code, self._json(response))
        if response.is_server_error:
            raise Fatal(
                f"Grafana reports an internal error ({answer.status}: {answer.message})",
                "See its log, then try again",
            )
        return answer

    def _json(self, response: httpx.Response) -> Any:
        try:
            found = json.loads(response.content)
        except ValueError:
            found = None
        if isinstance(found, dict | list):
            return found
        if response.is_server_error:
            return {}
        kind = response.headers.get("content-type", "no type").partition(";")[0]
        raise Fatal(
            f"{self.url} answers {response.status_code} with {kind}, which is not Grafana's API",
            "Check the address: it may be a proxy, a login page or another program",
        )
