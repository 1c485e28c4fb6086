"""Everything NautilusTrader that is not the strategy itself."""
