"""Solana: Pyth's on-chain price."""

from data_sources.solana.source import SolanaSource, get_solana_source, reset_solana_source

__all__ = ["SolanaSource", "get_solana_source", "reset_solana_source"]
