"""A strict imitation of Grafana's HTTP API: documented paths, bodies and answers, and nothing else.

It refuses what Grafana would refuse (unknown fields by a schema, versions, names, roles), so that a passing
test is meaningful. `break_` makes it answer as a broken server, a proxy or a login page does.
"""

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

TOKEN = "test-token-of-a-service-account"
USER, PASSWORD = "operator", "test-password"
ROLES = {"viewer": 0, "editor": 1, "admin": 2}

TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
SOURCE_SCHEMA = {
    "type": "object",
    "required": ["name", "type", "access"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "type": {"type": "string", "minLength": 1},
        "access": {"enum": ["proxy", "direct"]},
        "url": TEXT,
        "user": TEXT,
        "database": TEXT,
        "basicAuth": FLAG,
        "basicAuthUser": TEXT,
        "withCredentials": FLAG,
        "isDefault": FLAG,
        "jsonData": {"type": "object"},
        "secureJsonData": {"type": "object"},
        "version": {"type": "integer"},
    },
}
SAVE_SCHEMA = {
    "type": "object",
    "required": ["dashboard"],
    "additionalProperties": False,
    "properties": {
        "dashboard": {
            "type": "object",
            "required": ["title", "panels", "schemaVersion"],
            "properties": {
                "id": {"type": ["null", "integer"]},
                "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
                "title": TEXT,
                "version": {"type": "integer"},
                "panels": {"type": "array", "items": {"type": "object", "required": ["type", "gridPos"]}},
            },
        },
        "folderUid": TEXT,
        "folderId": {"type": "integer"},
        "message": TEXT,
        "overwrite": FLAG,
    },
}


class GrafanaStub:
    """A server on loopback with one organisation; a context manager."""

    def __init__(self, role: str = "admin", versions_as_list: bool = False) -> None:
        self.role = role
        self.sources: list[dict[str, Any]] = []
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.folders = {""}
        self.changes: list[str] = []
        """The changes, as method and path."""
        self.broken: tuple[int, str, bytes, dict[str, str]] | None = None
        self.meanwhile: Callable[[], None] = lambda: None
        """Called right before a dashboard is saved, for a concurrent change."""
        self._versions_as_list = versions_as_list
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def break_(self, status: int, kind: str, body: str, **headers: str) -> None:
        """Give this answer to every request from now on."""
        self.broken = (status, kind, body.encode(), headers)

    def edit(self, uid: str, user: str = "ann") -> None:
        """A person saves the dashboard in the browser."""
        entry = self.dashboards[uid]
        self._save(entry, {**entry["dashboard"], "description": "edited"}, "", user)

    def answer(self, method: str, target: str, headers: Any, raw: bytes) -> tuple[int, Any]:
        if not self._is_authorised(headers.get("Authorization", "")):
            return 401, {"message": "Unauthorized"}
        body = None
        if method in ("POST", "PUT"):
            if headers.get("Content-Type", "").partition(";")[0] != "application/json":
                return 415, {"message": "Unsupported Media Type"}
            body = json.loads(raw)
            self.changes.append(f"{method} {target}")
        parts = urlsplit(target)
        return self._route(method, parts.path.strip("/").split("/"), parse_qs(parts.query), body)

    def _route(self, method: str, path: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        match method, path:
            case "GET", ["api", "datasources", "uid" | "name" as key, value]:
                return self._allowed("admin") or self._found_source(key, unquote(value))
            case "POST", ["api", "datasources"]:
                return self._allowed("admin") or self._add_source(body)
            case "PUT", ["api", "datasources", "uid", uid]:
                return self._allowed("admin") or self._change_source(uid, body)
            case "GET", ["api", "dashboards", "uid", uid]:
                return self._found_dashboard(uid)
            case "GET", ["api", "dashboards", "uid", uid, "versions"]:
                return self._allowed("editor") or self._versions(uid, int(query["limit"][0]))
            case "POST", ["api", "dashboards", "db"]:
                return self._allowed("editor") or self._save_dashboard(body)
        return 404, {"message": "Not found"}

    def _is_authorised(self, authorization: str) -> bool:
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return authorization in (f"Bearer {TOKEN}", f"Basic {basic}")

    def _allowed(self, role: str) -> tuple[int, Any] | None:
        if ROLES[self.role] >= ROLES[role]:
            return None
        return 403, {"message": "You'll need additional permissions to perform this action."}

    # --- data sources ---

    def _found_source(self, key: str, value: str) -> tuple[int, Any]:
        found = [source for source in self.sources if source[key] == value]
        return (200, found[0]) if found else (404, {"message": "Data source not found"})

    def _add_source(self, body: Any) -> tuple[int, Any]:
        if problem := _invalid(body, SOURCE_SCHEMA):
            return 400, {"message": problem}
        if any(source["name"] == body["name"] or source["uid"] == body.get("uid") for source in self.sources):
            return 409, {"message": "data source with the same name already exists"}
        added = {"id": len(self.sources) + 1, "orgId": 1, "readOnly": False, "version": 1, **body}
        self.sources.append(added)
        return 200, {
            "datasource": added,
            "id": added["id"],
            "message": "Datasource added",
            "name": added["name"],
        }

    def _change_source(self, uid: str, body: Any) -> tuple[int, Any]:
        if problem := _invalid(body, SOURCE_SCHEMA):
            return 400, {"message": problem}
        for source in self.sources:
            if source["uid"] == uid:
                if source["readOnly"]:
                    return 403, {"message": "Cannot update read-only data source"}
                source.update(body, version=source["version"] + 1)
                return 200, {"datasource": source, "message": "Datasource updated", "name": source["name"]}
        return 404, {"message": "Data source not found"}

    # --- dashboards ---

    def _found_dashboard(self, uid: str) -> tuple[int, Any]:
        entry = self.dashboards.get(uid)
        if entry is None:
            return 404, {"message": "Dashboard not found", "traceID": ""}
        newest = entry["versions"][0]
        meta = {"version": newest["version"], "updatedBy": newest["createdBy"], **entry["meta"]}
        return 200, {"dashboard": entry["dashboard"], "meta": meta}

    def _versions(self, uid: str, limit: int) -> tuple[int, Any]:
        entry = self.dashboards.get(uid)
        if entry is None:
            return 404, {"message": "Dashboard not found"}
        newest = entry["versions"][:limit]
        return 200, newest if self._versions_as_list else {"continueToken": "", "versions": newest}

    def _save_dashboard(self, body: Any) -> tuple[int, Any]:
        if problem := _invalid(body, SAVE_SCHEMA):
            return 400, {"message": problem}
        self.meanwhile()
        wanted, overwrite = dict(body["dashboard"]), body.get("overwrite", False)
        folder = body.get("folderUid", "")
        if not wanted["title"]:
            return 400, {"message": "Dashboard title cannot be empty", "status": "empty-name"}
        if folder not in self.folders:
            return 404, {"message": "folder not found", "status": "not-found"}
        entry = self.dashboards.get(wanted["uid"])
        if entry is None:
            same = [e for e in self.dashboards.values() if e["dashboard"]["title"] == wanted["title"]]
            if same and not overwrite:
                return 412, {
                    "message": "A dashboard with the same name in the folder already exists",
                    "status": "name-exists",
                }
            entry = {"dashboard": {}, "meta": {"provisioned": False, "folderUid": folder}, "versions": []}
            self.dashboards[wanted["uid"]] = entry
        elif not overwrite and wanted.get("version", 0) != entry["dashboard"]["version"]:
            return 412, {
                "message": "The dashboard has been changed by someone else",
                "status": "version-mismatch",
            }
        self._save(entry, wanted, body.get("message", ""), USER)
        uid, version = wanted["uid"], entry["dashboard"]["version"]
        return 200, {"id": 1, "uid": uid, "url": f"/d/{uid}/bot", "status": "success", "version": version}

    def _save(self, entry: dict[str, Any], dashboard: dict[str, Any], message: str, user: str) -> None:
        version = len(entry["versions"]) + 1
        # Grafana migrates a stored dashboard to its own newest schema, so that it differs from what was sent.
        entry["dashboard"] = {**dashboard, "id": 1, "version": version, "schemaVersion": 99}
        entry["versions"].insert(
            0, {"id": version, "version": version, "createdBy": user, "message": message}
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if stub.broken is not None:
                    status, kind, body, extra = stub.broken
                else:
                    status, found = stub.answer(self.command, self.path, self.headers, raw)
                    kind, body, extra = "application/json", json.dumps(found).encode(), {}
                self.send_response(status)
                for name, value in {
                    "Content-Type": kind,
                    "Content-Length": str(len(body)),
                    "Connection": "close",
                    **extra,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _invalid(body: Any, schema: dict[str, Any]) -> str:
    try:
        jsonschema.validate(body, schema)
    except jsonschema.ValidationError as error:
        return f"bad request data: {error.message[:100]}"
    return ""
