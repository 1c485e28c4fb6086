"""Opens the account that a worker trades with: a practice wallet of its profile, or the operator's own."""

import re
from pathlib import Path

from eth_keys.constants import SECPK1_N

from config import Settings
from control.arming import require_live_order_client
from core.nautilus_core.data_engine.node import Wallet
from errors import ConfigError, Fatal
from execution.ledger import Mode
from execution.polymarket_client import PolymarketClient, throwaway_key
from runtime.worker.plan import LiveWallet, WorkerPlan

DIGITS = re.compile("(0x)?[0-9a-fA-F]{64}")


def practice_key(profile_folder: Path) -> str:
    """The key of a profile's practice wallet, created at the first call.

    Raises
    ------
    Fatal
        If the file is damaged, or cannot be written.
    """
    path = profile_folder / "venue" / "wallet.json"
    try:
        return throwaway_key(path)
    except (OSError, ValueError, KeyError) as error:
        raise Fatal(
            f"the practice wallet {path} cannot be used ({type(error).__name__})",
            f"Remove {profile_folder} to start over with a new practice account",
        ) from None


def operator_key(settings: Settings) -> str:
    """The key that real orders are signed with.

    Raises
    ------
    ConfigError
        If it is missing or invalid; the message never contains its text.
    """
    key = settings.polymarket_pk.get_secret_value()
    if not key:
        raise ConfigError(
            "POLYMARKET_PK is not set",
            "Put the private key of the signing wallet into .env, and: chmod 600 .env",
        )
    if len(key.split()) > 1:
        raise ConfigError(
            f"POLYMARKET_PK is not a private key: it has {len(key.split())} words",
            "A seed phrase belongs to several keys: export the private key of the account that signs",
        )
    if DIGITS.fullmatch(key) is None or not 0 < int(key, 16) < SECPK1_N:
        raise ConfigError(
            f"POLYMARKET_PK is not a private key: {len(key)} characters that are not 0x and 64 hex digits",
            "Copy it again from the wallet that signs",
        )
    return key


def open_account(settings: Settings, plan: WorkerPlan) -> tuple[PolymarketClient, Wallet]:
    """The account's client, and its keys for the adapter.

    Raises
    ------
    ConfigError
        If orders are to be real and the settings no longer contain the key that was armed, or name an order
        client for practice money.
    Fatal
        If the venue issues no API key.
    """
    if plan.mode is Mode.LIVE:
        # Each worker reads the settings again.
        require_live_order_client(settings.order_client)
    if plan.wallet is None:
        key = practice_key(plan.folder(settings.state_dir))
        client = PolymarketClient(plan.urls.clob, key)
        creds, kind = client.credentials(), 0
    else:
        key, kind = operator_key(settings), plan.wallet.signature_type
        client = PolymarketClient(plan.urls.clob, key, kind, plan.wallet.funder)
        _require_armed(client.address, plan.wallet)
        creds = client.credentials(settings.api_key_parts)
    return client, Wallet(
        private_key=key,
        api_key=creds.api_key,
        api_secret=creds.api_secret,
        passphrase=creds.api_passphrase,
        funder=client.funder,
        signature_type=kind,
    )


def _require_armed(signer: str, wallet: LiveWallet) -> None:
    """Compare with the armed wallet: each worker reads the settings again, and they may have changed."""
    if signer != wallet.signer:
        raise ConfigError(
            f"POLYMARKET_PK is the key of {signer} now, this run was armed for {wallet.signer}",
            "Start the bot again to trade with another wallet",
        )
