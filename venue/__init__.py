"""The practice venue: Polymarket's protocol on loopback, over recorded real markets.

It is independent of the bot: the two communicate over the network only. Run it with ``python -m venue``;
README.md in this folder describes its protocol, its rules and its differences from the real venue.
"""
