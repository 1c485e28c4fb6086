"""Deribit option data: put/call ratios."""

from data_sources.deribit.source import DeribitSource, get_deribit_source, reset_deribit_source

__all__ = ["DeribitSource", "get_deribit_source", "reset_deribit_source"]
