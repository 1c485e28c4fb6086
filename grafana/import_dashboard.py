"""Imports the data source and the dashboard into a running Grafana; run it again after every update.

An existing identical data source or dashboard is left unchanged. A dashboard that was edited in Grafana is
replaced only with --overwrite; Grafana stores every earlier version.
"""

if __name__ == "__main__":
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)

    from bootstrap import ensure_environment

    ensure_environment("grafana/import_dashboard.py")

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from errors import Fatal
from grafana.api import TIMEOUT_S, ApiAnswer, Credentials, Grafana

DASHBOARD = Path(__file__).resolve().parent / "dashboards" / "btc-15m.json"
SOURCE_UID = "btc-15m-prometheus"
SOURCE_NAME = "Prometheus (bot)"
MARK = "imported by import_dashboard.py, content "
"""Marks a version saved by this script; a version without it was saved by a person."""
OK, NOT_FOUND, FORBIDDEN, CONFLICT, OUTDATED = 200, 404, 403, 409, 412


def parse(arguments: Sequence[str] | None, environ: Mapping[str, str]) -> argparse.Namespace:
    """Parse the command line, which overrides the environment; invalid usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python grafana/import_dashboard.py",
        description="Imports the bot's data source and dashboard into a running Grafana.",
        epilog="Credentials: GRAFANA_TOKEN, or GRAFANA_USER and GRAFANA_PASSWORD, in the environment. "
        "Command-line flags are visible to all users of this machine. Exit code 0 done, 1 failed, 2 bad"
        " usage.",
    )
    url = environ.get("GRAFANA_URL") or "http://127.0.0.1:3000"
    parser.add_argument("--url", default=url, help="Grafana's address (GRAFANA_URL; default %(default)s)")
    parser.add_argument("--token", default=None, help="a service account's token (GRAFANA_TOKEN)")
    parser.add_argument("--user", default=None, help="or a user's name (GRAFANA_USER)")
    parser.add_argument("--password", default=None, help="and password (GRAFANA_PASSWORD)")
    parser.add_argument(
        "--prometheus",
        default="http://127.0.0.1:9090",
        metavar="URL",
        help="Prometheus as Grafana reaches it (default %(default)s)",
    )
    parser.add_argument(
        "--no-datasource", action="store_true", help="only the dashboard; choose its data source in Grafana"
    )
    parser.add_argument("--folder", default="", metavar="UID", help="folder of the dashboard")
    parser.add_argument(
        "--overwrite", action="store_true", help="also replace a dashboard that was edited in Grafana"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=TIMEOUT_S, metavar="S", help="timeout in seconds (%(default)g)"
    )
    given = parser.parse_args(arguments)
    if given.token is None and given.user is None and given.password is None:
        given.token, given.user, given.password = (
            environ.get(f"GRAFANA_{name}", "") for name in ("TOKEN", "USER", "PASSWORD")
        )
    elif given.user is not None and given.password is None:
        given.password = environ.get("GRAFANA_PASSWORD", "")
    return given


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Import the dashboard; returns 0 on success, 1 on failure, 2 on invalid usage."""
    given = parse(arguments, environ)
    credentials = Credentials(given.token or "", given.user or "", given.password or "")
    try:
        with Grafana(given.url, credentials, given.timeout) as grafana:
            if not given.no_datasource:
                print_line(put_source(grafana, given.prometheus))
            print_line(put_dashboard(grafana, load(), given.folder, overwrite=given.overwrite))
    except Fatal as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        return error.exit_code
    return 0


def print_line(text: str) -> None:
    sys.stdout.write(f"{printable(text)}\n")


def printable(text: str) -> str:
    """The text with a replacement character for each character that could control the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)


def load() -> dict[str, Any]:
    """The committed dashboard.

    Raises
    ------
    Fatal
        If the file is missing.
    """
    try:
        return json.loads(DASHBOARD.read_bytes())
    except (OSError, ValueError) as error:
        raise Fatal(
            f"{DASHBOARD} cannot be read: {error}", "Create it with `python -m grafana.dashboard`"
        ) from None


# --- data source ---------------------------------------------------------------------------------


def put_source(grafana: Grafana, prometheus: str) -> str:
    """Create the data source, or point the existing one to `prometheus`; returns a description of the change.

    Raises
    ------
    Fatal
        If Grafana refuses the request.
    """
    wanted = {
        "name": SOURCE_NAME,
        "uid": SOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": prometheus,
        "jsonData": {"httpMethod": "POST", "timeInterval": "5s"},
    }
    path = f"/api/datasources/uid/{SOURCE_UID}"
    found = grafana.ask("GET", path)
    if found.status == NOT_FOUND:
        return _create_source(grafana, wanted)
    _expect(found, "may not read data sources")
    if found.body.get("readOnly") or found.body.get("url") == prometheus:
        return f"data source {found.body.get('name')}: exists, not changed ({found.body.get('url')})"
    changed = {**wanted, "name": found.body.get("name", SOURCE_NAME)}
    _expect(grafana.ask("PUT", path, changed), "may not change data sources")
    return f"data source {changed['name']}: now points to {prometheus}"


def _create_source(grafana: Grafana, wanted: dict[str, Any]) -> str:
    made = grafana.ask("POST", "/api/datasources", wanted)
    if made.status != CONFLICT:
        _expect(made, "may not create data sources")
        return f"data source {wanted['name']}: created ({wanted['url']})"
    # A data source of this name exists; if it is a Prometheus, the dashboard can use it.
    there = grafana.ask("GET", f"/api/datasources/name/{quote(wanted['name'])}")
    _expect(there, "may not read data sources")
    if there.body.get("type") != "prometheus":
        raise Fatal(
            f"there is a data source {wanted['name']!r} already, and it is a {there.body.get('type')}",
            "Rename it in Grafana, or give --no-datasource",
        )
    return f"data source {wanted['name']}: created by another user, not changed ({there.body.get('url')})"


# --- dashboard -----------------------------------------------------------------------------------


def put_dashboard(grafana: Grafana, dashboard: dict[str, Any], folder: str, *, overwrite: bool) -> str:
    """Create the dashboard, or replace a version imported earlier; returns a description of the change.

    Raises
    ------
    Fatal
        If Grafana refuses, or if a person has edited the dashboard and `overwrite` is not given.
    """
    mark = MARK + fingerprint(dashboard)
    found = grafana.ask("GET", f"/api/dashboards/uid/{dashboard['uid']}")
    version = None
    if found.status != NOT_FOUND:
        _expect(found, "may not read this dashboard")
        if found.body["meta"].get("provisioned"):
            return f"dashboard {dashboard['title']}: provisioned from a file, not changed"
        version = found.body["dashboard"]["version"]
        last = _last_message(grafana, dashboard["uid"])
        if last == mark:
            return f"dashboard {dashboard['title']}: up to date (version {version})"
        if not last.startswith(MARK) and not overwrite:
            who = found.body["meta"].get("updatedBy", "an unknown user")
            raise Fatal(
                f"the dashboard in Grafana (version {version}) was saved by {who}, not by this script",
                "Run it again with --overwrite to replace it; Grafana keeps the old version in its history",
            )
    body: dict[str, Any] = {
        "dashboard": {**dashboard, "id": None} | ({} if version is None else {"version": version}),
        "message": mark,
        "overwrite": overwrite,
    }
    if folder:
        body["folderUid"] = folder
    saved = grafana.ask("POST", "/api/dashboards/db", body)
    if saved.status == OUTDATED:
        raise _outdated(saved)
    _expect(saved, "may not save dashboards here")
    done = "created" if version is None else "updated"
    return f"dashboard {dashboard['title']}: {done}, {grafana.url}{saved.body.get('url', '')}"


def fingerprint(dashboard: Mapping[str, Any]) -> str:
    """A hash of the content that does not depend on the fields that Grafana adds when it stores it."""
    return hashlib.sha256(json.dumps(dashboard, sort_keys=True).encode()).hexdigest()[:12]


def _last_message(grafana: Grafana, uid: str) -> str:
    answer = grafana.ask("GET", f"/api/dashboards/uid/{uid}/versions?limit=1")
    if answer.status != OK:
        return ""  # without access to the history, the dashboard counts as edited by a person
    # Older versions of Grafana answer with the list itself.
    versions = answer.body if isinstance(answer.body, list) else answer.body.get("versions") or []
    return str(versions[0].get("message", "")) if versions else ""


def _outdated(answer: ApiAnswer) -> Fatal:
    if answer.code == "version-mismatch":
        return Fatal(
            f"the dashboard was saved by another user at the same time ({answer.message})",
            "Run it again, or with --overwrite to replace what was saved",
        )
    if answer.code == "name-exists":
        return Fatal(
            f"another dashboard has this name ({answer.message})",
            "Rename it in Grafana, or import into another folder with --folder",
        )
    return Fatal(f"Grafana rejects the dashboard (412: {answer.message})", "Import it manually")


def _expect(answer: ApiAnswer, may_not: str) -> None:
    """Require status 200.

    Raises
    ------
    Fatal
        For any other status, with a message by status.
    """
    if answer.status == OK:
        return
    if answer.status == FORBIDDEN:
        raise Fatal(
            f"this account {may_not} (403: {answer.message})",
            "Give its service account the role Admin, or Editor and --no-datasource",
        )
    if answer.status == NOT_FOUND:
        raise Fatal(
            f"Grafana did not find the resource (404: {answer.message})",
            "Check the folder's UID and the address: a Grafana under a path needs it in --url",
        )
    raise Fatal(f"Grafana refuses ({answer.status}: {answer.message})", "See its log")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
