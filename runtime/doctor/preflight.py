"""Runs all preflight checks of one run: local checks one by one, remote checks in parallel."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from control.last_mode_switch import LAST_SWITCH_FILE
from control.running import FoundStore
from errors import Fatal
from execution.ledger import LedgerReader, Mode, ledger_path
from execution.venue_facts.observations import Observation
from execution.venue_facts.recorder import Observe, collect
from execution.venue_facts.store import load as load_facts
from execution.venue_facts.store import rows as fact_rows
from execution.venue_facts.store import venue_name
from models import Frozen
from monitoring.report.fact_lines import money_contradictions, sighting_text, summary
from runtime.doctor import file_checks, machine_checks, mode_checks, network_checks
from runtime.doctor.account_checks import AccountCheck
from runtime.doctor.finding import Check, Finding, Status, finding_of_error, ok, run_check, warn
from runtime.session import Session, TradingProfile
from runtime.worker.account import operator_key, practice_key
from runtime.worker.plan import LiveWallet

BLOCKED = "not started, because the state folder cannot be locked"


class PreflightReport(Frozen, frozen=True):
    """All findings, and the wallet that would trade with its free pUSD, if they could be determined."""

    findings: tuple[Finding, ...]
    wallet: LiveWallet | None
    balance: Decimal

    @property
    def failures(self) -> int:
        return sum(finding.status is Status.FAIL for finding in self.findings)


def run_preflight(
    session: Session, store: FoundStore, *, interactive: bool, refused: Fatal | None = None
) -> PreflightReport:
    """Check everything that this run needs; a failed check is a finding, never an exception.

    Parameters
    ----------
    session : Session
        Not begun. The practice venue of its profile is started, and continues for the run.
    store : FoundStore
        The mode store that was found.
    interactive : bool
        Whether a person can type LIVE.
    refused : Fatal, optional
        The error of locking the state folder, if that failed: then no practice venue is started.
    """
    # Errors become findings; the libraries would also write them to the screen.
    logging.basicConfig(handlers=[logging.NullHandler()])
    profile = session.live or session.paper
    found = [
        finding
        for area, check in _local_checks(session, profile, store, interactive, refused)
        for finding in run_check(area, check)
    ]
    started = _start(profile, refused)
    found += [] if started is None else [started]
    up = started is None or started.status is Status.OK
    seen: list[Observation] = []
    account = _account(session, profile, found, seen.append) if up else None
    # Checks that need a practice venue are omitted if it does not run.
    far = _remote_checks(session, profile, seen.append) if up or not session.flags.replay else []
    if account is not None:
        far.append(("account", account.run))
    found += _run_in_parallel(far)
    if up:
        found += _venue_facts(session, profile, seen if refused is None else [])
    if account is None:
        return PreflightReport(tuple(found), None, Decimal(0))
    return PreflightReport(tuple(found), account.wallet, account.balance)


def _local_checks(
    session: Session, profile: TradingProfile, store: FoundStore, interactive: bool, refused: Fatal | None
) -> list[tuple[str, Check]]:
    """Checks of this machine."""
    settings, live = session.settings, profile.live_path
    checks: list[tuple[str, Check]] = [
        ("Python", machine_checks.python_check),
        ("libraries", machine_checks.libraries_check),
        ("patches", machine_checks.patches_check),
        ("order client", lambda: machine_checks.order_client_check(settings)),
        ("settings", lambda: file_checks.changed(settings)),
        (".env", lambda: file_checks.env_file(live)),
        ("state folder", lambda: file_checks.state_folder(settings, refused)),
        ("folders", lambda: file_checks.folders(settings)),
        ("disk", lambda: machine_checks.disk_check(settings.state_dir)),
        ("ledger", lambda: file_checks.ledger(settings, profile.name)),
        ("halt", lambda: file_checks.halts(settings, profile.name)),
        ("mode store", lambda: mode_checks.mode_store(store, settings.state_dir / LAST_SWITCH_FILE, live)),
        ("metrics", lambda: machine_checks.port_check(settings, not session.flags.no_grafana)),
        ("notifications", lambda: file_checks.notifications(settings)),
    ]
    if live:
        checks.append(("arming", lambda: machine_checks.arming_check(settings, interactive)))
    return checks


def _start(profile: TradingProfile, refused: Fatal | None) -> Finding | None:
    """Start the profile's practice venue; None if it has none or if it started."""
    if not profile.needs_venue:
        return None
    if refused is not None:
        return warn("practice venue", BLOCKED, "Fix that first")
    try:
        process = profile.process
    except Fatal as error:
        return finding_of_error("practice venue", error)
    return ok("practice venue", f"{process.url if process else ''}, {profile.note}")


def _venue_facts(session: Session, profile: TradingProfile, seen: Sequence[Observation]) -> list[Finding]:
    """Store what the checks have seen, and show what is known about the venue of the markets."""
    area, state_dir = "venue facts", session.settings.state_dir

    def check() -> list[Finding]:
        markets, orders = (
            venue_name(urls.clob, urls.gamma, urls.ws) for urls in (profile.market_urls, profile.urls)
        )
        collect(state_dir, profile.name, [(orders, observation) for observation in seen])
        venue, rows = markets, fact_rows(load_facts(state_dir), markets)
        found = money_contradictions(rows)
        text = f"{summary(rows, venue)} (python view_paper_trades.py --venue-facts)"
        if not found:
            return [ok(area, text)]
        shown = "; ".join(f"{row.fact.id}: {sighting_text(row)}" for row in found[:3])
        return [warn(area, f"{text}; {shown}", "Check for a newer version of the bot before it trades")]

    return run_check(area, check)


def _account(
    session: Session, profile: TradingProfile, found: list[Finding], observe: Observe
) -> AccountCheck | None:
    """The check of the account at the venue; None, and a finding, without a key."""
    settings = session.settings
    real = profile.mode is Mode.LIVE
    try:
        key = operator_key(settings) if real else practice_key(settings.state_dir / profile.name)
        return AccountCheck(
            settings,
            profile.urls,
            key,
            operators=real,
            live_path=profile.live_path,
            own_orders=lambda order_ids: _own_orders(
                ledger_path(settings.state_dir, profile.name), order_ids
            ),
            markets=lambda: network_checks.listed_markets(settings, _catalogue(profile)),
            observe=observe,
        )
    except Fatal as error:
        found.append(finding_of_error("credentials", error))
        return None


def _catalogue(profile: TradingProfile) -> network_checks.CatalogueEndpoints:
    urls = profile.market_urls
    return network_checks.CatalogueEndpoints(urls.gamma, urls.ws, profile.clock)


def _own_orders(ledger: Path, order_ids: Sequence[str]) -> set[str]:
    if not order_ids or not ledger.exists():
        return set()
    with LedgerReader(ledger) as reader:
        return reader.own_orders(order_ids)


def _remote_checks(session: Session, profile: TradingProfile, observe: Observe) -> list[tuple[str, Check]]:
    """Checks that need answers from the network."""
    settings, sources, books = session.settings, profile.feeds, _catalogue(profile)
    checks: list[tuple[str, Check]] = [
        ("order API", lambda: network_checks.order_api(profile.market_urls.clob)),
        ("market", lambda: network_checks.markets(settings, books)),
        ("feeds", lambda: network_checks.feeds(settings, sources)),
    ]
    if profile.live_path:
        checks.append(("geoblock", lambda: network_checks.geoblock_check(profile.geoblock_url, observe)))
    return checks


def _run_in_parallel(checks: Sequence[tuple[str, Check]]) -> list[Finding]:
    with ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="doctor") as pool:
        answers = [pool.submit(run_check, area, check) for area, check in checks]
        return [finding for answer in answers for finding in answer.result()]
