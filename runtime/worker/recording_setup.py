"""Builds the recorder of a worker."""

from pathlib import Path

from research.recorder import Recorder
from research.recording_file import MEBIBYTE, FrameWriter
from runtime.worker.plan import WorkerPlan


def build_recorder(plan: WorkerPlan) -> Recorder | None:
    """The recorder of a run with --record, not yet started; it opens its folder on its own thread."""
    folder = plan.record
    if folder is None:
        return None
    return Recorder(
        lambda: FrameWriter(Path(folder), limit_bytes=plan.record_limit_mb * MEBIBYTE),
        plan.clock.market_time_ns,
    )
