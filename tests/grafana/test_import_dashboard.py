"""The import script against a strict imitation of Grafana: its effects, and its error messages."""

import os
import subprocess
import sys

import pytest
from bot_process import ROOT
from grafana_stub import PASSWORD, TOKEN, USER, GrafanaStub

from grafana import import_dashboard

UID = "btc-15m-bot"
BY_TOKEN = {"GRAFANA_TOKEN": TOKEN}
BY_PASSWORD = {"GRAFANA_USER": USER, "GRAFANA_PASSWORD": PASSWORD}


@pytest.fixture
def stub():
    with GrafanaStub() as running:
        yield running


@pytest.fixture
def run(stub, capsys):
    """Run the script against the stub; returns its exit code and its output."""

    def once(*arguments: str, environ: dict[str, str] = BY_TOKEN) -> tuple[int, str]:
        code = import_dashboard.main(arguments, {"GRAFANA_URL": stub.url, **environ})
        output = capsys.readouterr()
        assert TOKEN not in output.out + output.err
        assert PASSWORD not in output.out + output.err
        return code, output.out + output.err

    return once


@pytest.mark.parametrize("environ", [BY_TOKEN, BY_PASSWORD])
def test_import_into_an_empty_grafana(stub, run, environ):
    """Data source and dashboard are created, by token or by password, and the output has the address."""
    code, output = run("--prometheus", "http://prometheus:9090", environ=environ)
    assert code == 0
    assert f"{stub.url}/d/{UID}/bot" in output
    (source,) = stub.sources
    assert (source["uid"], source["url"]) == ("btc-15m-prometheus", "http://prometheus:9090")
    saved = stub.dashboards[UID]["dashboard"]
    assert saved["title"] == import_dashboard.load()["title"]
    assert saved["panels"] == import_dashboard.load()["panels"]


@pytest.mark.parametrize("as_list", [False, True])
def test_a_second_import_changes_nothing(as_list, capsys):
    """It is idempotent, although Grafana stores the dashboard in another form than it was sent."""
    with GrafanaStub(versions_as_list=as_list) as stub:
        environ = {"GRAFANA_URL": stub.url, **BY_TOKEN}
        assert import_dashboard.main([], environ) == 0
        stub.changes.clear()
        assert import_dashboard.main([], environ) == 0
        assert stub.changes == []
    assert "up to date (version 1)" in capsys.readouterr().out


@pytest.fixture
def older(monkeypatch):
    """The repository contains an older dashboard, until `undo`."""
    old = {**import_dashboard.load(), "description": "an older one"}
    monkeypatch.setattr(import_dashboard, "load", lambda: old)
    return monkeypatch


def test_an_update_replaces_what_was_imported_before(stub, run, older):
    """A newer dashboard replaces an older import without --overwrite, as the next version."""
    assert run()[0] == 0
    older.undo()
    code, output = run()
    assert code == 0
    assert "updated" in output
    assert stub.dashboards[UID]["dashboard"]["version"] == 2
    assert stub.dashboards[UID]["dashboard"]["description"] != "an older one"


def test_what_a_person_edited_is_kept_until_overwrite(stub, run):
    """An edit in the browser is not replaced, and the script names its author; --overwrite replaces it."""
    run()
    stub.edit(UID, user="ann")
    code, output = run()
    assert (code, stub.dashboards[UID]["dashboard"]["description"]) == (1, "edited")
    assert "saved by ann" in output
    assert "--overwrite" in output
    assert run("--overwrite")[0] == 0
    assert stub.dashboards[UID]["dashboard"]["description"] != "edited"


def test_a_save_at_the_same_moment_is_explained(stub, run, older):
    """Grafana's 412 version-mismatch is explained, and nothing is overwritten."""
    run()
    older.undo()
    stub.meanwhile = lambda: stub.edit(UID)
    code, output = run()
    assert code == 1
    assert "the dashboard was saved by another user at the same time" in output
    assert stub.dashboards[UID]["dashboard"]["description"] == "edited"


def test_another_dashboard_of_the_name_is_explained(stub, run):
    """Grafana's 412 name-exists is explained with both solutions."""
    other = {**import_dashboard.load(), "uid": "other", "version": 1}
    stub.dashboards["other"] = {"dashboard": other, "meta": {}, "versions": []}
    code, output = run()
    assert code == 1
    assert "another dashboard has this name" in output
    assert "--folder" in output


def test_a_data_source_of_the_name_is_used_as_it_is(stub, run):
    """Grafana's 409 is no failure if the existing source is a Prometheus, and one if it is something else."""
    there = {"name": import_dashboard.SOURCE_NAME, "uid": "mine", "type": "prometheus", "url": "http://mine"}
    stub.sources.append(there)
    code, output = run()
    assert code == 0
    assert "created by another user, not changed (http://mine)" in output
    assert stub.sources == [there]
    there["type"] = "loki"
    code, output = run()
    assert code == 1
    assert "it is a loki" in output


def test_our_own_data_source_follows_the_address(stub, run):
    """A changed --prometheus is written to the data source created before; a provisioned one is not
    changed."""
    run()
    assert run("--prometheus", "http://elsewhere:9090")[0] == 0
    assert stub.sources[0]["url"] == "http://elsewhere:9090"
    stub.sources[0]["readOnly"] = True
    assert run("--prometheus", "http://third:9090")[0] == 0
    assert stub.sources[0]["url"] == "http://elsewhere:9090"


def test_a_provisioned_dashboard_is_left_alone(stub, run):
    """Where Grafana reads the file itself there is nothing to import."""
    run()
    stub.dashboards[UID]["meta"]["provisioned"] = True
    stub.edit(UID)
    code, output = run()
    assert (code, "provisioned from a file" in output) == (0, True)


def test_roles(stub, run):
    """An editor may import the dashboard alone; without permission, the missing role is named."""
    stub.role = "editor"
    code, output = run()
    assert code == 1
    assert "may not read data sources (403" in output
    assert "Editor and --no-datasource" in output
    assert run("--no-datasource")[0] == 0
    stub.role = "viewer"
    code, output = run("--no-datasource")
    assert code == 1
    stub.dashboards.clear()
    assert "may not save dashboards here" in run("--no-datasource")[1]


def test_wrong_credentials(run):
    """For 401 the output names the credentials that were rejected, without showing them, and where tokens
    are made."""
    code, output = run(environ={"GRAFANA_TOKEN": "wrong-secret"})
    assert code == 1
    assert "does not accept the token (401)" in output
    assert "Service accounts" in output
    assert "wrong-secret" not in output
    code, output = run(environ={"GRAFANA_USER": USER, "GRAFANA_PASSWORD": "wrong-secret"})
    assert f"password of '{USER}' (401)" in output
    assert "wrong-secret" not in output


def test_a_folder_that_is_not_there(run):
    """404 for the folder names the folder's UID as what to check."""
    code, output = run("--folder", "nowhere")
    assert code == 1
    assert "404: folder not found" in output
    assert "folder's UID" in output


@pytest.mark.parametrize(
    ("status", "kind", "body", "headers", "fragment"),
    [
        (500, "application/json", '{"message": "database is locked"}', {}, "500: database is locked"),
        (503, "text/html", "<html>starting</html>", {}, "reports an internal error (503: status 503)"),
        (
            200,
            "text/html",
            "<html>Log in</html>",
            {},
            "answers 200 with text/html, which is not Grafana's API",
        ),
        (404, "text/html", "<html>nginx</html>", {}, "answers 404 with text/html"),
        (200, "application/json", '"pong"', {}, "which is not Grafana's API"),
        (302, "text/html", "", {"Location": "/login"}, "redirects to /login"),
        (404, "application/json", '{"message": "Not found"}', {}, "did not find the resource (404"),
        (418, "application/json", "{}", {}, "Grafana refuses (418: status 418)"),
        (500, "application/json", r'{"message": "\u001b[2J\u202e"}', {}, "(500: \ufffd[2J\ufffd)"),
    ],
)
def test_answers_that_are_none(stub, run, status, kind, body, headers, fragment):
    """A broken Grafana, a proxy, a login page and another program are distinguished, each with a next
    step."""
    stub.break_(status, kind, body, **headers)
    code, output = run()
    assert code == 1
    assert output.startswith("error: ")
    assert fragment in output


def test_an_unreachable_address_is_named(run, free_port):
    """An address without a server is named."""
    code, output = run("--url", f"http://127.0.0.1:{free_port}")
    assert code == 1
    assert f"no answer from http://127.0.0.1:{free_port}" in output


@pytest.mark.parametrize(
    ("arguments", "environ", "fragment"),
    [
        ([], {}, "there are no credentials"),
        ([], {"GRAFANA_USER": USER}, "GRAFANA_PASSWORD is not set"),
        ([], {**BY_TOKEN, **BY_PASSWORD}, "both a token and a user"),
        ([], {"GRAFANA_TOKEN": "a\nb"}, "contain non-ASCII characters"),
        (["--url", "grafana:3000"], BY_TOKEN, "is not an address of a Grafana server"),
        (["--url", f"http://{USER}:{PASSWORD}@localhost:3000"], BY_TOKEN, "holds credentials"),
    ],
)
def test_bad_usage(run, arguments, environ, fragment):
    """Invalid usage ends with 2 before anything is sent, and names what to set."""
    code, output = run(*arguments, environ=environ)
    assert code == 2
    assert fragment in output


def test_flags_win_over_the_environment(run):
    """Credentials given by flag take precedence."""
    assert run("--user", USER, "--password", PASSWORD, environ={"GRAFANA_TOKEN": "other"})[0] == 0


def test_as_a_script(stub):
    """`python grafana/import_dashboard.py` works from any folder."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "grafana" / "import_dashboard.py")],
        cwd="/",
        env={**os.environ, **BY_TOKEN, "GRAFANA_URL": stub.url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert UID in stub.dashboards
