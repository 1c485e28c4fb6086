"""Libraries of the venue that sign orders and send them, behind one port.

`clob_client_v2` uses py-clob-client-v2, which NautilusTrader's adapter needs as well; `polymarket_sdk` uses
polymarket-client, the venue's current library, on practice venues only (ORDER_CLIENT).
"""
