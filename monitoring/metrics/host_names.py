"""Decides by the Host header whether a request is for this machine. Pure."""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit


def names_of(listen: str, allowed: str) -> frozenset[str]:
    """The names that a Host header may have besides `localhost`, in lower case.

    Parameters
    ----------
    listen : str
        The listen address of the settings, which may be a name.
    allowed : str
        More names, separated by commas.
    """
    return frozenset(name.strip().lower() for name in (listen, *allowed.split(",")) if name.strip())


def is_this_machine(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is an IP address, `localhost` or one of the names, each with or without a port.

    A page of another site can have its requests sent here under a name of its own that resolves to this
    machine (DNS rebinding); under an IP address it cannot.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name in names:
            return True
        ip_address(name)
    except ValueError:
        return False
    return True
