"""The HTML report: one file that explains a book's results, without scripts and without the network."""

from monitoring.report.page import Report, render, write

__all__ = ["Report", "render", "write"]
