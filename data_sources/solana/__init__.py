"""Pyth's price on the Solana chain."""

from data_sources.solana.source import SolanaSource, get_solana_source, reset_solana_source

__all__ = ["SolanaSource", "get_solana_source", "reset_solana_source"]
