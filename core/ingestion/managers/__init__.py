"""Upkeep: how often a source is asked, and how a websocket is kept open."""
