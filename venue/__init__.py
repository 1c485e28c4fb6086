"""The practice venue: Polymarket's protocol on loopback, over recorded real markets.

It knows nothing of the bot: the two meet on the wire only. Run it with ``python -m venue``; README.md in this
folder says what it speaks, what it enforces and where it departs from the real venue.
"""
