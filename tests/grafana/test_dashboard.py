"""The committed dashboard: equal to the code's output, complete, and readable by Grafana's own types."""

import json

import pytest
from expressions import alert_expressions, exposed_families, metrics, panel_expressions, panels
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import dashboard
from grafana.rows.grid import JOB

SECOND_OPINIONS = {
    "trading_settled_trades",
    "trading_win_rate_low",
    "trading_win_rate_high",
    "trading_break_even_win_rate",
}


def test_the_committed_file_is_what_the_code_makes(tmp_path, monkeypatch, capsys):
    """`--check` passes on the committed file, and fails with the command to run on any other."""
    assert dashboard.main(["--check"]) == 0
    other = tmp_path / "btc-15m.json"
    other.write_text(dashboard.text().replace("Newest quote", "Newest quota"))
    monkeypatch.setattr(dashboard, "FILE", other)
    assert dashboard.main(["--check"]) == 1
    assert "python -m grafana.dashboard" in capsys.readouterr().err
    assert dashboard.main([]) == 0
    assert dashboard.main(["--check"]) == 0


def test_no_key_is_unknown_to_grafanas_types():
    """Read by the SDK's types and written again nothing is lost, so no key is misspelt."""
    found = dashboard.build()
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(found)))

    def missing(ours: object, theirs: object, where: str) -> list[str]:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return [
                name
                for key, value in ours.items()
                for name in (
                    missing(value, theirs[key], f"{where}.{key}")
                    if key in theirs
                    else [f"{where}.{key}"] * (value is not None)
                )
            ]
        if isinstance(ours, list) and isinstance(theirs, list):
            assert len(ours) == len(theirs)
            return [
                name
                for place, pair in enumerate(zip(ours, theirs, strict=True))
                for name in missing(*pair, f"{where}[{place}]")
            ]
        return [] if ours == theirs else [where]

    assert missing(found, again, "") == []


def test_panels_stand_side_by_side():
    """No two panels overlap, every line is full, and ids and titles are unique."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.build()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
    assert len(taken) == dashboard.GRID * (1 + max(y for _, y in taken))
    for key in ("id", "title"):
        values = [panel[key] for panel in dashboard.build()["panels"]]
        assert len(values) == len(set(values))


def test_every_panel_explains_itself():
    """Each has a description, a text for missing data, and the data source that the reader chose."""
    for panel in panels():
        assert panel["description"].endswith(".") or "redis_control.py" in panel["description"]
        assert panel["fieldConfig"]["defaults"]["noValue"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"


def test_no_win_rate_stands_alone():
    """Where a win rate is shown, the sample, its interval and the break-even rate are in the same panel."""
    shown = 0
    for panel in panels():
        used = set().union(*(metrics(target["expr"]) for target in panel["targets"]))
        if "trading_win_rate" in used:
            assert used >= SECOND_OPINIONS, panel["title"]
            shown += 1
    assert shown


def test_each_expression_is_promql():
    """They parse, and an invalid one would not; none depends on a macro of Grafana's."""
    for title, expr in panel_expressions():
        assert metrics(expr), title
        assert "$" not in expr
    with pytest.raises(ValueError, match="paren"):
        metrics("sum(rate(trading_decisions_total[5m])")


def test_each_metric_is_one_of_the_exporters():
    """Dashboard and alerts use metrics of the exporter or of Prometheus itself."""
    families = exposed_families()
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    known = {family.name + end for family in families for end in suffixes.get(family.type, ("",))}
    used = set().union(*(metrics(expr) for _, expr in [*panel_expressions(), *alert_expressions()]))
    assert used - known == {"up", "ALERTS"}


def test_emptiness_is_declared_for_panels_that_exist():
    """The table of panels that may be empty names existing panels, each with its reason."""
    titles = {panel["title"] for panel in panels()}
    assert dashboard.may_be_empty().keys() < titles
    assert all(dashboard.may_be_empty().values())


def test_one_name_for_the_job():
    """Dashboard and prometheus.yml call the scrape job the same."""
    text = (dashboard.FILE.parent.parent / "prometheus" / "prometheus.yml").read_text()
    assert f"job_name: {JOB} " in text
