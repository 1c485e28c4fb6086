"""What a run needs, looked at before it starts: one finding a check, and what to do about it."""

from runtime.doctor.finding import Finding, Status
from runtime.doctor.findings_table import show_findings
from runtime.doctor.preflight import PreflightReport, run_preflight

__all__ = ["Finding", "PreflightReport", "Status", "run_preflight", "show_findings"]
