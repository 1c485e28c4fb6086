"""The operator's word: live orders only after LIVE was typed, or LIVE_TRADING_CONFIRM=yes was set."""

from collections.abc import Callable

from errors import Fatal

WORD = "LIVE"


def arm(confirm: str, ask: Callable[[str], str] | None) -> str:
    """Let the operator arm; returns in words how it was done.

    Parameters
    ----------
    confirm : str
        The setting LIVE_TRADING_CONFIRM: ``yes`` arms.
    ask : Callable or None
        Shows a prompt and returns the line typed; None when nobody can type.

    Raises
    ------
    Fatal
        If nobody armed; nothing was traded.
    """
    if confirm == "yes":
        return "armed by LIVE_TRADING_CONFIRM=yes"
    if ask is None:
        raise Fatal(
            "--live is not armed: nobody is here to type LIVE",
            "Start it in a terminal, or set LIVE_TRADING_CONFIRM=yes",
        )
    try:
        typed = ask(f"Type {WORD} to trade with real orders, anything else to stop: ")
    except (EOFError, KeyboardInterrupt):
        typed = ""
    if typed.strip() != WORD:
        raise Fatal(f"--live is not armed: {typed.strip()[:20]!r} is not {WORD}", "Nothing was traded")
    return "armed by hand"
