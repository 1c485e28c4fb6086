"""Checks of the trading account: keys, the wallet with the money, permissions and funds for an order."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from config import Settings
from control.locks import holder, wallet_lock
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from errors import ConfigError, Temporary
from execution.polymarket_client import EXCHANGE_NAMES, EXCHANGES, Funds, PolymarketClient
from execution.settlement.redeemers import ChainUrls, RedemptionKeys, official_redeemer
from execution.venue_facts.observations import PermissionChecked, WalletsFunded
from execution.venue_facts.recorder import Observe, ignore
from execution.wallets import wallets_of
from models import Frozen, Market, ProtocolVersion
from runtime.doctor.finding import Finding, fail, ok, warn
from runtime.worker.plan import LiveWallet

KINDS = {0: "own wallet", 1: "e-mail login", 2: "browser wallet", 3: "deposit wallet"}
AREA = "account"
APPROVE = "Approve trading once with this wallet, on polymarket.com or with the official client"
KEY_PATIENCE_S = 150.0
"""Seconds that a new API key may need until the venue accepts it; two minutes were reported."""


class ConfiguredWallet(Frozen, frozen=True):
    """The wallet as named in the settings. `funder` may be empty, `kind` None."""

    signer: str
    funder: str
    kind: int | None

    @property
    def own(self) -> bool:
        """Whether the money is expected at the key's own address."""
        return not self.funder or self.funder.lower() == self.signer.lower()


def choose_wallet(wanted: ConfiguredWallet, funded: dict[int, Decimal]) -> LiveWallet:
    """The wallet that orders are made for: the configured one, otherwise the one that has the money.

    Parameters
    ----------
    funded : dict
        Balance by signature type. The venue derives a wallet from key and type; for the wrong type it
        correctly reports a balance of 0.

    Raises
    ------
    ConfigError
        If key, POLYMARKET_FUNDER and POLYMARKET_SIGNATURE_TYPE contradict each other or are ambiguous.
    """
    kind = wanted.kind
    if kind is None:
        kind = _kind_with_money(wanted, funded)
    if (kind == 0) is not wanted.own:
        raise _wallet_mismatch(wanted, kind)
    if not wanted.own and not _is_wallet(wanted, kind):
        raise _foreign_funder(wanted, kind)
    return LiveWallet(wanted.signer, wanted.funder or wanted.signer, kind)


def _is_wallet(wanted: ConfiguredWallet, kind: int) -> bool:
    """Whether POLYMARKET_FUNDER is the address that the venue derives from the key and a signature type."""
    return wanted.funder.lower() in (address.lower() for address in wallets_of(wanted.signer)[kind])


def _foreign_funder(wanted: ConfiguredWallet, kind: int) -> ConfigError:
    own = " or ".join(wallets_of(wanted.signer)[kind])
    others = [other for other in KINDS if _is_wallet(wanted, other)]
    if others:
        todo = f"Set POLYMARKET_SIGNATURE_TYPE to {others[0]}, or POLYMARKET_FUNDER to {own}"
    else:
        todo = f"Set POLYMARKET_FUNDER to {own} if your Polymarket profile shows it, or check POLYMARKET_PK"
    return ConfigError(
        f"the money of signature type {kind} ({KINDS[kind]}) lies at {own}, and POLYMARKET_FUNDER is"
        f" {wanted.funder}",
        todo,
    )


def _kind_with_money(wanted: ConfiguredWallet, funded: dict[int, Decimal]) -> int:
    possible = [kind for kind, balance in funded.items() if balance > 0 and (kind == 0) is wanted.own]
    if len(possible) > 1:
        possible = [kind for kind in possible if _is_wallet(wanted, kind)] or possible
    if len(possible) == 1:
        return possible[0]
    if possible:
        raise ConfigError(
            f"{_funded_text({kind: funded[kind] for kind in possible})}: the signature type is ambiguous",
            f"Set POLYMARKET_SIGNATURE_TYPE to {' or '.join(map(str, possible))}",
        )
    others = {kind: balance for kind, balance in funded.items() if balance > 0}
    if others:
        raise _wallet_mismatch(wanted, min(others), _funded_text(others))
    raise ConfigError(
        f"no wallet of the key {wanted.signer} has funds with any signature type",
        "Fund it with pUSD, or check POLYMARKET_PK",
    )


def _wallet_mismatch(wanted: ConfiguredWallet, kind: int, seen: str = "") -> ConfigError:
    if kind == 0:
        what = seen or "signature type 0 is the key's own wallet"
        return ConfigError(
            f"{what}, but POLYMARKET_FUNDER is {wanted.funder} and not the key's own {wanted.signer}",
            "Unset POLYMARKET_FUNDER, or set POLYMARKET_SIGNATURE_TYPE to the wallet's kind (1, 2 or 3)",
        )
    what = seen or f"signature type {kind} is a {KINDS[kind]}"
    return ConfigError(
        f"{what}, which is not the key's own address, and POLYMARKET_FUNDER is not set",
        "Set POLYMARKET_FUNDER to the address shown in your Polymarket profile, "
        + " or ".join(wallets_of(wanted.signer)[kind]),
    )


def _funded_text(funded: dict[int, Decimal]) -> str:
    return "there are funds with " + " and ".join(
        f"signature type {kind} ({KINDS[kind]}): ${balance}" for kind, balance in funded.items()
    )


class AccountCheck:
    """Queries the venue with the account that would trade.

    After `run`, `wallet` and `balance` hold that wallet and its balance, if they could be determined.

    Parameters
    ----------
    settings, urls
    key : str
        The signing key.
    operators : bool
        Whether the key is the operator's own, with the settings that belong to it; otherwise a practice
        wallet.
    live_path : bool
        Whether it is to trade in the live profile, or in a rehearsal of it.
    own_orders : Callable[[Sequence[str]], set[str]]
        Returns the given order ids that the bot's own ledger contains.
    markets : Callable[[], Sequence[Market]]
        Returns the running and the next market, without those that are not supported; none if the catalogue
        does not answer.
    observe : Observe
        Receives the venue's answers as evidence of its rules.
    """

    def __init__(
        self,
        settings: Settings,
        urls: VenueUrls,
        key: str,
        *,
        operators: bool,
        live_path: bool,
        own_orders: Callable[[Sequence[str]], set[str]] = lambda order_ids: set(),
        markets: Callable[[], Sequence[Market]] = lambda: (),
        observe: Observe = ignore,
    ) -> None:
        self._settings = settings
        self._urls = urls
        self._key = key
        self._operators = operators
        self._live_path = live_path
        self._own_orders = own_orders
        self._markets = markets
        self._observe = observe
        self.wallet: LiveWallet | None = None
        self.balance = Decimal(0)

    def run(self) -> Iterator[Finding]:
        """The findings.

        Raises
        ------
        Fatal
            If the venue issues no API key, or the settings contradict each other.
        """
        try:
            yield from self._ask()
        except Temporary as error:
            yield fail(AREA, str(error), "Try again; if it persists, see https://status.polymarket.com")

    def _ask(self) -> Iterator[Finding]:
        client = PolymarketClient(self._urls.clob, self._key)
        given = self._settings.api_key_parts if self._operators else ("", "", "")
        client.credentials(given, patience_s=KEY_PATIENCE_S)
        origin = "the settings" if all(given) else "derived from the key"
        closed_only = client.closed_only()  # answered only to the owner of the API key
        self._observe(PermissionChecked(closed_only))
        yield ok("credentials", f"the venue accepts the API key of {client.address} ({origin})")
        if closed_only:
            yield fail(
                AREA, f"{client.address} may only close positions", "Ask the venue's support for the reason"
            )
        funded = client.funded_types()
        self.wallet = wallet = choose_wallet(self._wanted(client.address), funded)
        self._observe(WalletsFunded(funded, wallet.signature_type))
        yield self._type(wallet, funded)
        yield from self._money(client, wallet)
        if self._live_path:
            client = PolymarketClient(self._urls.clob, self._key, wallet.signature_type, wallet.funder)
            client.credentials(given)
            yield self._lock(wallet)
            yield self._others(client)
            yield from self._redemption(client, wallet)

    def _wanted(self, signer: str) -> ConfiguredWallet:
        if not self._operators:
            return ConfiguredWallet(signer, "", 0)
        return ConfiguredWallet(
            signer, self._settings.polymarket_funder, self._settings.polymarket_signature_type
        )

    def _type(self, wallet: LiveWallet, funded: dict[int, Decimal]) -> Finding:
        what = f"{wallet.signature_type}, {KINDS[wallet.signature_type]}, funds at {wallet.funder}"
        others = {k: balance for k, balance in funded.items() if balance > 0 and k != wallet.signature_type}
        if others and not funded[wallet.signature_type]:
            return fail(
                "signature type",
                f"{what}: no funds, but {_funded_text(others)}",
                f"Set POLYMARKET_SIGNATURE_TYPE to {min(others)}, or unset it",
            )
        return ok("signature type", what)

    def _money(self, client: PolymarketClient, wallet: LiveWallet) -> Iterator[Finding]:
        funds = client.funds(wallet.signature_type)
        self.balance = funds.balance
        size, markets = self._settings.position_size_usd, self._markets()
        # The fee per pUSD of stake is rate × (1 − price).
        needed = size * (1 + max((market.fee_rate for market in markets), default=Decimal(0)))
        text = f"an order of ${size} takes ${needed:.2f} with the highest fee"
        if not markets:
            text = f"an order of ${size} takes its fee in addition, which no market states now"
        if funds.balance < needed:
            yield fail("balance", f"${funds.balance}, but {text}", f"Fund {wallet.funder} with pUSD")
        else:
            yield ok("balance", f"${funds.balance}; {text}")
        yield from self._allowances(funds, needed, text, {market.version for market in markets})

    def _allowances(
        self, funds: Funds, needed: Decimal, text: str, versions: set[ProtocolVersion]
    ) -> Iterator[Finding]:
        """Check the allowance of each exchange; a failure if no listed market can be traded."""
        given = {version: funds.allowance(version) or Decimal(0) for version in ProtocolVersion}
        short = {version: amount for version, amount in given.items() if amount < needed}
        listed = versions or set(ProtocolVersion)
        usable = listed - short.keys()
        for version, amount in short.items():
            found = fail if version in listed and not usable else warn
            exchange = f"{EXCHANGE_NAMES[version]} ({EXCHANGES[version]})"
            effect = f"orders in markets of version {version} are refused"
            what = f"the allowance of {exchange} is ${amount}, but {text}: {effect}"
            yield found("allowance", what, APPROVE)
        if not short:
            names = " and ".join(EXCHANGE_NAMES.values())
            yield ok("allowance", f"the allowances of {names} cover an order")

    def _lock(self, wallet: LiveWallet) -> Finding:
        who = holder(wallet_lock(wallet.funder))
        if who is None:
            return ok("wallet", f"no other bot uses {wallet.funder}")
        return fail("wallet", f"another bot ({who}) trades with {wallet.funder}", "Stop it first")

    def _others(self, client: PolymarketClient) -> Finding:
        """Check that nothing else trades with the wallet: the bot's own orders never rest at the venue."""
        resting = client.open_orders()
        own = self._own_orders(resting)
        foreign = [order_id for order_id in resting if order_id not in own]
        if not foreign:
            return ok("open orders", "none at the venue except this bot's own")
        count = f"{len(foreign)} open order{'s' if len(foreign) > 1 else ''}"
        return fail(
            "open orders",
            f"{client.funder} has {count} that this bot did not send, such as {foreign[0]}: "
            "another bot or a person trades with this wallet",
            "Stop the other bot and cancel its orders at polymarket.com, or use another wallet",
        )

    def _redemption(self, client: PolymarketClient, wallet: LiveWallet) -> Iterator[Finding]:
        """How won shares are redeemed, and whether some wait for redemption already."""
        won = [position for position in client.redeemable(self._urls.data_api) if position.won]
        waiting = (
            f"${sum(position.amount for position in won):g} of winning positions pending"
            if won
            else "none pending"
        )
        lacks = self._redeemer_lacks(wallet) if self._operators else None
        if lacks is None:
            yield ok("redemption", f"by the bot; {waiting}")
        else:
            todo = "Redeem manually, enable auto-redeem at polymarket.com, or provide it"
            yield warn("redemption", f"not by the bot, because {lacks}; {waiting}", todo)

    def _redeemer_lacks(self, wallet: LiveWallet) -> str | None:
        settings, urls = self._settings, self._urls
        keys = RedemptionKeys(self._key, wallet.funder, "", "", "", settings.relayer_key)
        chain = ChainUrls(
            urls.clob, urls.gamma, urls.data_api, settings.relayer_url, settings.polygon_rpc_url
        )
        found = official_redeemer(keys, wallet.signature_type, chain)
        return found if isinstance(found, str) else None
