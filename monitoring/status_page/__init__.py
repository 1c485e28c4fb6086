"""The status page: what the bot does now, served beside the metrics. Read-only."""

from monitoring.status_page.observer import StatusPage, StatusPageParams

__all__ = ["StatusPage", "StatusPageParams"]
