"""Creates the observers of a worker besides the console, according to the settings and the plan."""

from config import VERSION, Settings
from execution.ledger import ledger_path
from monitoring.grafana_exporter import ExporterParams, get_grafana_exporter
from monitoring.metrics.host_names import names_of
from monitoring.performance_tracker import get_performance_tracker
from monitoring.status_file import STATUS_FILE, StatusFile
from monitoring.status_page import StatusPage, StatusPageParams
from runtime.worker.observers import Observer
from runtime.worker.plan import WorkerPlan

LAST_SUMMARY_FILE = "last_summary.txt"
"""In the profile's folder: the last UTC day for which a daily summary was sent."""


def build_observers(settings: Settings, plan: WorkerPlan) -> list[Observer]:
    """The observers of one worker, not yet started.

    Raises
    ------
    ConfigError
        If the settings of an observer are invalid.
    """
    folder = plan.folder(settings.state_dir)
    found: list[Observer] = [StatusFile(folder / STATUS_FILE)]
    if plan.metrics:
        exporter = get_grafana_exporter(_exporter_params(settings, plan), get_performance_tracker)
        found.append(exporter)
        if plan.page:
            found.append(StatusPage(_page_params(settings, plan), exporter))
    if urls := settings.notify_url.get_secret_value():
        # Imported here, because Apprise is slow to import, and few runs send notifications.
        from monitoring.notifications import NotifyParams, get_notifier, importance

        params = NotifyParams(
            urls=urls,
            level=importance(settings.notify_level),
            profile=plan.profile,
            ledger=ledger_path(settings.state_dir, plan.profile),
            memory=folder / LAST_SUMMARY_FILE,
        )
        found.append(get_notifier(params))
    return found


def _exporter_params(settings: Settings, plan: WorkerPlan) -> ExporterParams:
    return ExporterParams(
        host=settings.grafana_host,
        port=settings.grafana_port,
        ledger=ledger_path(settings.state_dir, plan.profile),
        max_exposure=settings.max_total_exposure,
        live_path=plan.live_path,
        version=VERSION,
        weights=settings.weights,
        names=names_of(settings.grafana_host, settings.grafana_allowed_hosts),
        series=tuple(one.name for one in settings.series) if len(settings.series) > 1 else (),
    )


def _page_params(settings: Settings, plan: WorkerPlan) -> StatusPageParams:
    return StatusPageParams(
        ledger=ledger_path(settings.state_dir, plan.profile),
        max_exposure=settings.max_total_exposure,
    )
