"""New accounts of a practice venue, for the programs that the bot is measured beside."""

from eth_account import Account

from execution.polymarket_client import PolymarketClient


def new_account(url: str) -> dict[str, str]:
    """Create a wallet with an API key at a venue; its address and its keys."""
    key = "0x" + bytes(Account.create().key).hex()  # a test key, never holds money
    client = PolymarketClient(url, key)
    created = client.credentials()
    return {
        "private_key": key,
        "address": client.address,
        "api_key": created.api_key,
        "api_secret": created.api_secret,
        "passphrase": created.api_passphrase,
    }
