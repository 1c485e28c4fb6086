"""Coinbase spot prices, which are closest to the settlement feed."""

from data_sources.coinbase.source import CoinbaseSource, get_coinbase_source, reset_coinbase_source

__all__ = ["CoinbaseSource", "get_coinbase_source", "reset_coinbase_source"]
