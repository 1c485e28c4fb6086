"""The account that a worker trades with: a practice wallet made for its book, or the operator's own."""

from pathlib import Path

from config import Settings
from core.nautilus_core.data_engine.node import Wallet
from errors import ConfigError
from execution.polymarket_client import PolymarketClient, throwaway_key
from worker.plan import WorkerPlan


def wallet_file(folder: Path) -> Path:
    """Where the practice wallet of a book lies."""
    return folder / "venue" / "wallet.json"


def open_account(settings: Settings, plan: WorkerPlan) -> tuple[PolymarketClient, Wallet]:
    """The account's client, and its keys for the adapter.

    Raises
    ------
    ConfigError
        If orders are to be real and there is no key.
    Fatal
        If the venue gives no API key.
    """
    if plan.wallet is None:
        key = throwaway_key(wallet_file(plan.folder(settings.state_dir)))
        client = PolymarketClient(plan.urls.clob, key)
        creds, funder, kind = client.credentials(), client.address, 0
    else:
        key, funder, kind = (
            settings.polymarket_pk.get_secret_value(),
            plan.wallet.funder,
            plan.wallet.signature_type,
        )
        if not key:
            raise ConfigError("POLYMARKET_PK is not set", "Real orders need it: see docs/live-safety.md")
        client = PolymarketClient(plan.urls.clob, key, kind, funder)
        creds = client.credentials(settings.api_key_parts)
    return client, Wallet(
        private_key=key,
        api_key=creds.api_key,
        api_secret=creds.api_secret,
        passphrase=creds.api_passphrase,
        funder=funder,
        signature_type=kind,
    )
