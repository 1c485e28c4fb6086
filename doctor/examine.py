"""Everything that one run needs, looked at: what is near at once, what is far all together."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from control.memory import MODE_MEMORY
from control.running import FoundStore
from doctor import files, machine, network, switch
from doctor.account import AccountCheck
from doctor.finding import Check, Finding, Status, carried_out, failed_as, ok, warn
from errors import Fatal
from execution.ledger import Mode
from launch import Lane, Run
from models import Frozen
from worker.account import operator_key, practice_key
from worker.plan import LiveWallet

BLOCKED = "not started, because the state folder cannot be held"


class Report(Frozen, frozen=True):
    """All findings, and the wallet that would trade with its free pUSD, as far as they were found out."""

    findings: tuple[Finding, ...]
    wallet: LiveWallet | None
    balance: Decimal

    @property
    def failures(self) -> int:
        return sum(finding.status is Status.FAIL for finding in self.findings)


def examine(run: Run, store: FoundStore, *, typist: bool, refused: Fatal | None = None) -> Report:
    """Look at everything that this run needs; never raises for what it finds.

    Parameters
    ----------
    run : Run
        Not begun. The practice venue of the lane it asks for is started, and stays for the run.
    store : FoundStore
        The mode store, as it was found.
    typist : bool
        Whether somebody can type LIVE.
    refused : Fatal, optional
        What came of locking the state folder, if it could not be: the practice venue is left alone then.
    """
    # What goes wrong is a finding; the libraries would also write it on the screen.
    logging.basicConfig(handlers=[logging.NullHandler()])
    lane = run.live or run.paper
    found = [
        finding
        for area, check in _near(run, lane, store, typist, refused)
        for finding in carried_out(area, check)
    ]
    started = _start(lane, refused)
    found += [] if started is None else [started]
    up = started is None or started.status is Status.OK
    account = _account(run, lane, found) if up else None
    # What a practice venue that does not run would have to answer is not asked for.
    far = _far(run, lane) if up or not run.flags.replay else []
    if account is not None:
        far.append(("account", account.run))
    found += _together(far)
    if account is None:
        return Report(tuple(found), None, Decimal(0))
    return Report(tuple(found), account.wallet, account.balance)


def _near(
    run: Run, lane: Lane, store: FoundStore, typist: bool, refused: Fatal | None
) -> list[tuple[str, Check]]:
    """What this machine has."""
    settings, live = run.settings, lane.live_path
    checks: list[tuple[str, Check]] = [
        ("Python", machine.python),
        ("libraries", machine.libraries),
        ("patches", machine.patched),
        ("settings", lambda: files.changed(settings)),
        (".env", lambda: files.env_file(live)),
        ("state folder", lambda: files.state_folder(settings, refused)),
        ("folders", lambda: files.folders(settings)),
        ("disk", lambda: machine.disk(settings.state_dir)),
        ("ledger", lambda: files.ledger(settings, lane.book)),
        ("halt", lambda: files.halts(settings, lane.book)),
        ("mode store", lambda: switch.mode_store(store, settings.state_dir / MODE_MEMORY, live)),
        ("metrics", lambda: machine.port(settings, not run.flags.no_grafana)),
        ("notifications", lambda: files.notifications(settings)),
    ]
    if live:
        checks.append(("arming", lambda: machine.arming(settings, typist)))
    return checks


def _start(lane: Lane, refused: Fatal | None) -> Finding | None:
    """Start the lane's practice venue; None if it has none."""
    if not lane.needs_venue:
        return None
    if refused is not None:
        return warn("practice venue", BLOCKED, "Mend that first")
    try:
        process = lane.process
    except Fatal as error:
        return failed_as("practice venue", error)
    return ok("practice venue", f"{process.url if process else ''}, {lane.note}")


def _account(run: Run, lane: Lane, found: list[Finding]) -> AccountCheck | None:
    """The account to ask the venue about; without a key there is none, and a finding."""
    settings = run.settings
    real = lane.mode is Mode.LIVE
    try:
        key = operator_key(settings) if real else practice_key(settings.state_dir / lane.book)
        return AccountCheck(settings, lane.urls, key, operators=real, live_path=lane.live_path)
    except Fatal as error:
        found.append(failed_as("credentials", error))
        return None


def _far(run: Run, lane: Lane) -> list[tuple[str, Check]]:
    """What others have to answer."""
    settings, sources = run.settings, lane.feeds
    books = network.Catalogue(lane.market_urls.gamma, lane.market_urls.ws, lane.clock)
    checks: list[tuple[str, Check]] = [
        ("order API", lambda: network.order_api(lane.market_urls.clob)),
        ("market", lambda: network.markets(settings, books)),
        ("feeds", lambda: network.feeds(settings, sources)),
    ]
    if lane.live_path:
        checks.append(("geoblock", lambda: network.here(lane.geoblock_url)))
    return checks


def _together(checks: Sequence[tuple[str, Check]]) -> list[Finding]:
    with ThreadPoolExecutor(max(1, len(checks)), thread_name_prefix="doctor") as pool:
        answers = [pool.submit(carried_out, area, check) for area, check in checks]
        return [finding for answer in answers for finding in answer.result()]
