"""The outside world of a synthetic venue, on loopback: exchanges, option and mood data, price streams.

Each module speaks one service's own protocol; what they say comes from one price path, so that no service
contradicts another or the markets.
"""
