"""Chainlink prices as relayed by Polymarket: the prices that settle the markets."""

from data_sources.chainlink.polybolt import PolyBoltCredentials
from data_sources.chainlink.source import ChainlinkSource, get_chainlink_source, reset_chainlink_source

__all__ = ["ChainlinkSource", "PolyBoltCredentials", "get_chainlink_source", "reset_chainlink_source"]
