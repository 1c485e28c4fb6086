"""Conversions and feeds between Nautilus, external data and the strategy."""
