"""The patched Polymarket adapter: NautilusTrader's own, with subclasses where it loses money.

One file a patch: `clob_client` (no 30-second wait inside the POST), `gamma_markets` (markets by
slug, from a configurable catalogue), `market_feed` (no message that cannot be right moves a book),
`market_orders` (USD-denominated FAK orders), `user_feed` (fills of all markets on one subscription).
`verify()` proves that they fit the installed libraries.
"""

from patches.library import verify

__all__ = ["verify"]
