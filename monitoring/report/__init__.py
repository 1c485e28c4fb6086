"""The HTML report: one file with a profile's results, without scripts and without network access."""

from monitoring.report.page import Report, render, write

__all__ = ["Report", "render", "write"]
