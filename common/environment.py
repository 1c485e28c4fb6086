"""The inherited environment of connections: loopback stays off proxies, and bad values are named."""

import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.request import getproxies

from common.constants import LOOPBACK
from errors import ConfigError

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For a client that makes no request: loading certificates takes longer than everything else here."""
CERTIFICATES = ("ssl_cert_file", "ssl_cert_dir", "sslkeylogfile", "openssl_conf")


def prepare_environment(*, certificates: bool = True) -> None:
    """Keep the traffic of this process and its children to this machine off proxies, whatever the spelling.

    Parameters
    ----------
    certificates : bool
        Whether to check the certificates, too; false in a process whose parent has done so.

    Raises
    ------
    ConfigError
        If a variable of the environment keeps connections from being made. Values are not repeated: a proxy's
        address may hold a password.
    """
    proxies = _names(PROXIES) or getproxies()
    kept = _without_proxy(os.environ)
    # Some libraries read the one, some the other; where both are set the second wins.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = kept
    if certificates:
        _check_certificates()
    if proxies:
        _check_proxies()


def _without_proxy(environ: Mapping[str, str]) -> str:
    """The user's own list, from whichever spelling holds one, and this machine."""
    spelled = {name: value for name, value in environ.items() if name.lower() == "no_proxy"}
    listed = [host.strip(" []") for value in spelled.values() for host in value.split(",")]
    # No library matches a name with a network, and httpx fails at one of IPv6.
    hosts = [
        host for host in listed if host and not ("/" in host and host.count(":") > 1 and "//" not in host)
    ]
    return ",".join(dict.fromkeys([*hosts, *LOOPBACK]))


def _check_certificates() -> None:
    if os.environ.get("SSL_CERT_DIR") and not os.environ.get("SSL_CERT_FILE"):
        _require_certificate(os.environ["SSL_CERT_DIR"])
    if set_names := _names(CERTIFICATES):
        from common.bounded_http import trust_store  # imported here, because few environments need it

        try:
            trust_store.cache_clear()
            trust_store()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"TLS cannot be used with {_listed(set_names)} of the environment: {error.strerror or error}",
                "Correct or unset it",
            ) from None


def _check_proxies() -> None:
    """Check the proxies as httpx reads them.

    It imports its transports for that, which the runner of practice markets does not need otherwise.
    """
    import httpx  # imported here, because few environments need it

    for name in _names(PROXIES):
        if os.environ[name].lower().startswith("socks"):
            raise ConfigError(
                f"{name} names a SOCKS proxy, which is not supported",
                "Unset it, or set HTTPS_PROXY to an HTTP proxy",
            )
    try:
        httpx.Client(verify=NO_CERTIFICATES).close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        what = f"no connection can be made with {_listed(_names(PROXIES))} of the environment"
        raise ConfigError(f"{what} ({type(error).__name__})", "Correct or unset it") from None


def _require_certificate(folders: str) -> None:
    """Require a certificate under the hashed name that OpenSSL looks for.

    Without any certificate the HTTP client of NautilusTrader cannot be created.
    """
    context = ssl.create_default_context()
    for folder in folders.split(os.pathsep):
        for path in Path(folder).glob("????????.[0-9]"):
            with suppress(OSError, ssl.SSLError):
                context.load_verify_locations(path)
                return
    raise ConfigError("no certificate is in SSL_CERT_DIR of the environment", "Correct or unset it")


def _names(wanted: tuple[str, ...]) -> list[str]:
    return sorted(name for name in os.environ if name.lower() in wanted and os.environ[name])


def _listed(names: list[str]) -> str:
    return " or ".join(names)
