"""Prometheus' and Alertmanager's files, checked with their own tools."""

import re
import shutil
import subprocess

import pytest
import yaml
from bot_process import ROOT
from expressions import ALERTS, alerts, metrics

from grafana.rows.grid import JOB

FOLDER = ALERTS.parent
TESTS = (FOLDER / "alerts_test.yml", FOLDER / "drawdown_test.yml")
DOCS = ROOT / "docs" / "monitoring.md"


def tool(*command: object) -> str:
    """Run a checker; returns its output if it succeeds."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_files_are_valid():
    """promtool and amtool accept the committed files."""
    assert f"{len(alerts())} rules found" in tool("promtool", "check", "rules", ALERTS)
    tool("promtool", "check", "config", FOLDER / "prometheus.yml")
    tool("amtool", "check-config", FOLDER.parent / "alertmanager" / "alertmanager.yml")


def test_unit_tests_of_the_rules():
    """`promtool test rules` passes on the rules as they are."""
    tool("promtool", "test", "rules", *TESTS)


@pytest.mark.parametrize("broken", ["vector(0) > 1", "vector(1)"])
def test_the_unit_tests_notice_each_alert(broken, tmp_path):
    """Every alert has a case in which it fires and one in which it does not; both fail when it is wrong."""
    rules = yaml.safe_load(ALERTS.read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["expr"] = broken
        rule.pop("for", None)
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules))
    copies = [shutil.copy(path, tmp_path) for path in TESTS]
    with pytest.raises(AssertionError) as failed:
        tool("promtool", "test", "rules", *copies)
    missed = {rule["alert"] for rule in alerts()} - set(re.findall(r"alertname: (\w+)", str(failed.value)))
    assert not missed


def test_each_alert_is_explained():
    """Each has a severity, texts, and a section of docs/monitoring.md with its name."""
    headings = re.findall(r"^#+ (\w+)$", DOCS.read_text(), re.MULTILINE)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["alert"] in headings
        assert rule["expr"].count(f'job="{JOB}"') >= len(metrics(rule["expr"]))
