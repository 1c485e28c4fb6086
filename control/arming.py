"""Arms live trading: the preflight checks passed, and LIVE was typed or set."""

from collections.abc import Callable

from errors import ConfigError, Fatal
from execution.order_clients.port import CLOB_CLIENT_V2

CONFIRMATION = "LIVE"


def require_doctor(failures: int) -> None:
    """Refuse to arm if preflight checks failed; missing credentials are one of them.

    Raises
    ------
    Fatal
        If any failed; nothing was traded.
    """
    if failures:
        raise Fatal(
            f"--live is not armed: {failures} preflight check{'' if failures == 1 else 's'} failed",
            "Fix the failures and run --doctor again; nothing was traded",
        )


def require_live_order_client(order_client: str) -> None:
    """Refuse the order client that has not been tried with real money.

    Raises
    ------
    ConfigError
        With the setting and its value.
    """
    if order_client != CLOB_CLIENT_V2:
        raise ConfigError(
            f"ORDER_CLIENT is {order_client}, which is for practice money only",
            "Unset ORDER_CLIENT to trade real money, or rehearse with it: --live --venue synthetic",
        )


def arm(confirm: str, ask: Callable[[str], str] | None) -> str:
    """Have the operator arm the session; returns how it was armed, as text.

    Parameters
    ----------
    confirm : str
        The setting LIVE_TRADING_CONFIRM: ``yes`` arms.
    ask : Callable or None
        Shows a prompt and returns the line typed; None without a terminal.

    Raises
    ------
    Fatal
        If it was not armed; nothing was traded.
    """
    if confirm == "yes":
        return "armed by LIVE_TRADING_CONFIRM=yes"
    if ask is None:
        raise Fatal(
            "--live is not armed: there is no terminal to type LIVE in",
            "Start it in a terminal, or set LIVE_TRADING_CONFIRM=yes",
        )
    try:
        typed = ask(f"Type {CONFIRMATION} to trade with real orders, anything else to stop: ")
    except (EOFError, KeyboardInterrupt):
        typed = ""
    if typed.strip() != CONFIRMATION:
        raise Fatal(
            f"--live is not armed: {typed.strip()[:20]!r} is not {CONFIRMATION}", "Nothing was traded"
        )
    return "armed by typing LIVE"
