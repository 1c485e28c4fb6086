"""Rendering the dashboard: the committed JSON is supported, and numbers are formatted as in Grafana."""

import json
import math
import shutil
from functools import partial

import httpx
import pytest
from grafana_stub import GrafanaStub

from errors import Fatal
from grafana.dashboard import FILE
from tools.render_dashboard.__main__ import main, render
from tools.render_dashboard.field_format import field_of, formatted
from tools.render_dashboard.page import page
from tools.render_dashboard.series import Prometheus, Series, Span

SPAN = Span(0.0, 600.0)


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (1234.5, "currencyUSD", 2, "$1,234.50"),
        (-0.5, "currencyUSD", 2, "-$0.50"),
        (0.25, "percentunit", 0, "25%"),
        (12.345, "percent", 1, "12.3%"),
        (0.02, "s", None, "20 ms"),
        (90.0, "s", 1, "1.5 min"),
        (7200.0, "s", 0, "2 hours"),
        (3 * 2**20, "bytes", None, "3 MiB"),
        (0.123456, "none", None, "0.123"),
        (7.0, "none", None, "7"),
        (math.nan, "none", None, "NaN"),
    ],
)
def test_numbers(value, unit, decimals, text):
    """Each unit of the dashboard is formatted as in Grafana."""
    assert formatted(value, unit, decimals) == text


def test_an_unknown_unit_stops():
    """An unsupported unit is named, instead of a wrong picture."""
    with pytest.raises(Fatal, match="furlongs"):
        formatted(1.0, "furlongs", None)


def test_colours_and_mapped_texts():
    """Mappings come before thresholds; overrides are for their series only."""
    panel = {
        "fieldConfig": {
            "defaults": {
                "unit": "none",
                "thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 10}]},
                "mappings": [{"type": "value", "options": {"0": {"text": "nothing", "color": "blue"}}}],
            },
            "overrides": [
                {
                    "matcher": {"id": "byName", "options": "b"},
                    "properties": [{"id": "unit", "value": "percent"}],
                }
            ],
        }
    }
    plain, special = field_of(panel, "a"), field_of(panel, "b")
    assert [plain.text(value) for value in (0, 9)] == ["nothing", "9"]
    assert special.text(9) == "9%"
    green, red, blue = (plain.colour(value) for value in (9, 10, 0))
    assert len({green, red, blue}) == 3


def test_every_panel_is_drawn():
    """The committed dashboard is drawn with data and without; another type of panel stops it."""
    board = json.loads(FILE.read_bytes())
    data = {
        panel["id"]: [Series(name, SPAN.grid, tuple(map(float, range(len(SPAN.grid))))) for name in "ab"]
        for panel in board["panels"]
        if panel["type"] != "row"
    }
    full, empty = page(board, data, SPAN, 1600), page(board, {}, SPAN, 1600)
    for panel in board["panels"]:
        assert panel["title"] in full
        assert panel["title"] in empty
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["noValue"] in empty
    assert full.count("<svg") == sum(panel["type"] == "timeseries" for panel in board["panels"])
    assert "<svg" not in empty
    board["panels"][1]["type"] = "piechart"
    with pytest.raises(Fatal, match="piechart"):
        page(board, data, SPAN, 1600)


def test_all_series_are_drawn(monkeypatch):
    """A variable of the dashboard has its value for all in a query."""
    asked = []

    def answer(request):
        asked.append(request.url.params["query"])
        return httpx.Response(200, json={"status": "success", "data": {"result": []}})

    board = {"templating": {"list": [{"name": "datasource"}, {"name": "series", "allValue": ".*"}]}}
    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
    source = Prometheus("http://prometheus", SPAN, board)
    target = {"expr": 'up{series=~"$series"}', "instant": True, "legendFormat": "{{series}}"}
    assert source.of({"targets": [target]}) == []
    assert asked == ['up{series=~".*"}']


def test_an_unreachable_address_is_named(tmp_path, free_port, capsys):
    """Without a Prometheus the address is named, and no picture is made."""
    out = tmp_path / "out.png"
    assert main(["--prometheus", f"http://127.0.0.1:{free_port}", "--out", str(out)]) == 1
    assert f"127.0.0.1:{free_port}" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_a_picture_is_made(tmp_path):
    """Chromium makes a PNG of the page."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    out = tmp_path / "out.png"
    with GrafanaStub() as server:
        server.break_(200, "application/json", '{"status": "success", "data": {"result": []}}')
        render(server.url, SPAN, out, 800)
    assert out.read_bytes().startswith(b"\x89PNG")
