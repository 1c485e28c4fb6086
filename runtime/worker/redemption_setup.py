"""Selects the redeemer of a live worker's winnings, and its waiting times."""

from collections.abc import Callable

from config import Settings
from core.nautilus_core.data_engine.node import Wallet
from events import Event
from execution.execution_engine import ExecutionEngine
from execution.ledger import Mode
from execution.polymarket_client import PolymarketClient
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.redeemers import ChainUrls, PracticeRedeemer, RedemptionKeys, official_redeemer
from execution.settlement.redemption import Redeemer, Redemption, RedemptionTiming
from execution.venue_facts.recorder import Observe, ignore
from runtime.worker.plan import WorkerPlan


def make_redemption(
    settings: Settings,
    plan: WorkerPlan,
    account: PolymarketClient,
    wallet: Wallet,
    engine: ExecutionEngine,
    bookkeeper: SettlementBookkeeper,
    publish: Callable[[Event], None],
    observe: Observe = ignore,
) -> Redemption:
    """The redemption of a worker, not started."""

    def undisturbed() -> bool:
        return engine.cash_is_certain

    async def settled_orders() -> bool:
        await engine.drain()
        return undisturbed()

    return Redemption(
        bookkeeper,
        lambda: account.redeemable(plan.urls.data_api),
        choose_redeemer(settings, plan, wallet),
        settled_orders,
        undisturbed,
        publish,
        engine.halt,
        redemption_timing(plan),
        observe,
    )


def choose_redeemer(settings: Settings, plan: WorkerPlan, wallet: Wallet) -> Redeemer | str:
    """The redeemer: the practice venue's, or the official client's for real money; or why there is none."""
    if plan.mode is not Mode.LIVE:
        return PracticeRedeemer(plan.urls.clob, wallet.funder)
    keys = RedemptionKeys(
        private_key=wallet.private_key,
        wallet=wallet.funder,
        api_key=wallet.api_key,
        api_secret=wallet.api_secret,
        passphrase=wallet.passphrase,
        relayer=settings.relayer_key,
    )
    urls = ChainUrls(
        clob=plan.urls.clob,
        gamma=plan.urls.gamma,
        data_api=plan.urls.data_api,
        relayer=settings.relayer_url,
        rpc=settings.polygon_rpc_url,
    )
    return official_redeemer(keys, wallet.signature_type, urls)


def redemption_timing(plan: WorkerPlan) -> RedemptionTiming:
    """Waiting times: on a fast practice clock markets are short, and so are the waits."""
    usual, wall = RedemptionTiming(), plan.clock.wall_seconds
    return RedemptionTiming(
        interval_s=min(usual.interval_s, max(0.5, wall(usual.interval_s))),
        patience_s=min(usual.patience_s, wall(usual.patience_s)),
        retry_s=min(usual.retry_s, wall(usual.retry_s)),
    )
