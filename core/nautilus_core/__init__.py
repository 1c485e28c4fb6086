"""Integration with NautilusTrader, except the strategy itself."""
