"""An unknown protocol version is reported once in a run, however often the worker restarts."""

from runtime.worker.reported_versions import FILE, ReportedVersions


def test_a_restarted_worker_does_not_report_a_version_again(tmp_path):
    """Each version once; a version that appears after the restart is reported."""
    first = ReportedVersions(tmp_path, restarted=False)
    assert [first.add("v3"), first.add("v3")] == [True, False]
    second = ReportedVersions(tmp_path, restarted=True)
    assert [second.add("v3"), second.add("v4")] == [False, True]
    third = ReportedVersions(tmp_path, restarted=True)
    assert [third.add("v3"), third.add("v4")] == [False, False]


def test_a_new_run_reports_it_again(tmp_path):
    """The operator of a new start is notified why nothing is traded."""
    ReportedVersions(tmp_path, restarted=False).add("v3")
    assert ReportedVersions(tmp_path, restarted=False).add("v3")


def test_an_unreadable_memory_is_empty(tmp_path):
    """A report too many is better than none; trading is not affected."""
    (tmp_path / FILE).write_bytes(b"not json")
    assert ReportedVersions(tmp_path, restarted=True).add("v3")
    folder = tmp_path / "file"
    folder.write_text("")
    assert ReportedVersions(folder, restarted=True).add("v3")
