"""Backtest: the strategy, order lifecycle, risk engine and ledger of the bot under NautilusTrader's clock."""
