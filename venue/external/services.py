"""The names of the external services, and their paths below a venue's own address."""

PREFIX = "/external"

PATHS = {
    "coinbase": f"{PREFIX}/coinbase",
    "coinbase_exchange": f"{PREFIX}/coinbase-exchange",
    "deribit": f"{PREFIX}/deribit",
    "fear_greed": f"{PREFIX}/fng",
    "binance": f"{PREFIX}/binance",
    "binance_stream": f"{PREFIX}/binance",
    "solana": f"{PREFIX}/solana",
    "rtds": f"{PREFIX}/rtds",
    "polybolt": f"{PREFIX}/polybolt/ws",
}
"""A client uses such a path in place of the real service's address; its requests are otherwise unchanged."""

SOCKETS = frozenset({"binance_stream", "rtds", "polybolt"})
"""Services that are WebSockets."""

ALL = "all"


def base_urls(venue_url: str) -> dict[str, str]:
    """The base address of every service at a venue, by name."""
    socket_url = venue_url.replace("http", "ws", 1)
    return {name: (socket_url if name in SOCKETS else venue_url) + path for name, path in PATHS.items()}


def named(text: str) -> frozenset[str]:
    """The services named in a text: one, several separated by commas, or "all".

    Raises
    ------
    ValueError
        If a service does not exist.
    """
    if text == ALL:
        return frozenset(PATHS)
    names = frozenset(name.strip() for name in text.split(","))
    if unknown := sorted(names - PATHS.keys()):
        raise ValueError(f"unknown service {unknown[0]!r}; known: {ALL}, {', '.join(PATHS)}")
    return names
