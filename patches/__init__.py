"""The patched Polymarket adapter: subclasses of NautilusTrader's adapter where it loses money.

One file per patch: `gamma_markets` (markets by slug, from a configurable catalogue), `market_feed` (invalid
messages do not change a book), `market_orders` (USD-denominated FAK orders), `user_feed` (fills of all
markets on one subscription), `stream_socket` (the connections of both streams). `verify()` checks that they
fit the installed libraries.
"""

from patches.library import verify

__all__ = ["verify"]
