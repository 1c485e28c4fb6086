"""Binance spot prices, quoted in USDT."""

from data_sources.binance.source import BinanceSource, get_binance_source, reset_binance_source

__all__ = ["BinanceSource", "get_binance_source", "reset_binance_source"]
