"""The names of the external services, and where each is found below a venue's own address."""

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
"""Put such a path where a client has the real service's address; the rest of its requests stays as it is."""

SOCKETS = frozenset({"binance_stream", "rtds", "polybolt"})
"""Services that are WebSockets."""

ALL = "all"


def base_urls(venue_url: str) -> dict[str, str]:
    """Every service's base address at a venue, by name."""
    socket_url = venue_url.replace("http", "ws", 1)
    return {name: (socket_url if name in SOCKETS else venue_url) + path for name, path in PATHS.items()}


def named(text: str) -> frozenset[str]:
    """The services that a text names: one, several with commas in between, or "all".

    Raises
    ------
    ValueError
        If one of them does not exist.
    """
    if text == ALL:
        return frozenset(PATHS)
    names = frozenset(name.strip() for name in text.split(","))
    if unknown := sorted(names - PATHS.keys()):
        raise ValueError(f"unknown service {unknown[0]!r}; known: {ALL}, {', '.join(PATHS)}")
    return names
