"""The HTML report: one file with a profile's results, without scripts and without network access."""

from monitoring.report.page import Report, document, render, write, write_page

__all__ = ["Report", "document", "render", "write", "write_page"]
