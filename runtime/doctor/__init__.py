"""Preflight checks: one finding per check, with what to do about it."""

from runtime.doctor.finding import Finding, Status
from runtime.doctor.findings_table import show_findings
from runtime.doctor.preflight import PreflightReport, run_preflight

__all__ = ["Finding", "PreflightReport", "Status", "run_preflight", "show_findings"]
