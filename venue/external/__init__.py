"""External services of a synthetic venue, on loopback: exchanges, options, sentiment index, price streams.

Each module implements one service's own protocol; all values come from one price path, so that the services
are consistent with each other and with the markets.
"""
