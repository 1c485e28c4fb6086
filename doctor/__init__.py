"""What a run needs, looked at before it starts: one finding a check, and what to do about it."""

from doctor.examine import Report, examine
from doctor.finding import Finding, Status
from doctor.screen import show

__all__ = ["Finding", "Report", "Status", "examine", "show"]
