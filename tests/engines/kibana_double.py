"""A stand-in for Kibana's interface for saved objects, as strict as what is known of the real one.

It has users, spaces and a base path, refuses what Kibana refuses, and gives back objects as a Kibana of its version
would have rewritten them. What it is told to answer instead stands in ``instead``.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kibana_schemas import object_violations

NDJSON = "application/ndjson"
PAGE = b"<!doctype html><html><title>Sign in</title></html>"


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: Any
    body: bytes


@dataclass
class Reply:
    """What is answered: JSON, or bytes of a content type."""

    status: int
    body: Any = None
    kind: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def error(status: int, message: str, **more: Any) -> Reply:
    """An error in Kibana's words."""
    names = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
    return Reply(status, {"statusCode": status, "error": names.get(status, "Error"), "message": message, **more})


class KibanaDouble:
    """A Kibana on a free port. ``objects`` has what is stored by space, type and id.

    ``instead``: method and path (without base and space) → what is answered there. ``refused``: id → the error that an
    import answers for that object. ``rights``: whether who is logged in may read and manage saved objects.
    """

    def __init__(self, version="9.5.1", *, users=None, base="", spaces=("default",), tls=None):
        self.version, self.users, self.base, self.spaces = version, users or {}, base, set(spaces)
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.instead: dict[tuple[str, str], Reply] = {}
        self.refused: dict[str, dict[str, Any]] = {}
        self.rights = True
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.place = f"127.0.0.1:{self._server.server_address[1]}{base}"
        self.url = f"{scheme}://{self.place}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ids(self, space="default"):
        """The ids of what is stored in a space."""
        return sorted(id for where, _, id in self.objects if where == space)

    def answer(self, asked: Asked) -> Reply:
        """What Kibana would answer."""
        with self._lock:
            self.asked.append(asked)
            return self._answer(asked)

    def _answer(self, asked: Asked) -> Reply:
        split = urlsplit(asked.path)
        if not split.path.startswith(f"{self.base}/"):
            return error(404, "Not Found")
        path = split.path[len(self.base) :]
        space = "default"
        if found := re.match(r"/s/([a-z0-9_-]+)(?=/)", path):
            space, path = found[1], path[found.end() :]
        if (asked.method, path) in self.instead:
            return self.instead[asked.method, path]
        if not self._known(asked):
            return error(401, "[security_exception]: unable to authenticate user")
        if asked.method != "GET" and not asked.headers.get("kbn-xsrf"):
            return error(400, "Request must contain a kbn-xsrf header.")
        if asked.headers.get("content-encoding"):
            return error(415, "Unsupported Media Type")
        return self._routed(asked, path, space, dict(parse_qsl(split.query)))

    def _known(self, asked: Asked) -> bool:
        given = asked.headers.get("authorization", "")
        logins = {"Basic " + base64.b64encode(f"{user}:{word}".encode()).decode() for user, word in self.users.items()}
        return not self.users or given in logins or given == "ApiKey Z29vZDprZXk="

    def _routed(self, asked: Asked, path: str, space: str, query: dict[str, str]) -> Reply:
        if (asked.method, path) == ("GET", "/api/status"):
            version = {"number": self.version, "build_number": 1, "build_snapshot": False}
            return Reply(200, {"name": "kibana", "version": version, "status": {"overall": {"level": "available"}}})
        if asked.method == "GET" and path.startswith("/api/spaces/space/"):
            known = path.rpartition("/")[2] in self.spaces
            return Reply(200, {"id": path.rpartition("/")[2]}) if known else error(404, "Not Found")
        if (asked.method, path) == ("POST", "/api/saved_objects/_export"):
            return self._export(asked, space)
        if (asked.method, path) == ("POST", "/api/saved_objects/_import"):
            return self._import(asked, space, query)
        if asked.method == "DELETE" and (found := re.fullmatch(r"/api/saved_objects/([a-z-]+)/([^/]+)", path)):
            if not self.rights:
                return error(403, f"Unable to delete {found[1]}")
            gone = self.objects.pop((space, found[1], unquote(found[2])), None)
            return Reply(200, {}) if gone else error(404, f"Saved object [{found[1]}/{found[2]}] not found")
        return error(404, "Not Found")

    def _export(self, asked: Asked, space: str) -> Reply:
        if not asked.headers.get("content-type", "").startswith("application/json"):
            return error(415, "Unsupported Media Type")
        body = json.loads(asked.body)
        assert body.keys() <= {"objects", "type", "excludeExportDetails", "includeReferencesDeep"}, body
        failed, found = [], []
        for each in body["objects"]:
            assert each.keys() == {"type", "id"}, each
            stored = self.objects.get((space, each["type"], each["id"]))
            if not self.rights:
                told = {"statusCode": 403, "error": "Forbidden", "message": f"Unable to bulk_get {each['type']}"}
                failed.append({**each, "error": told})
            elif stored is None:
                message = f"Saved object [{each['type']}/{each['id']}] not found"
                failed.append({**each, "error": {"statusCode": 404, "error": "Not Found", "message": message}})
            else:
                found.append(stored)
        if failed:
            return error(400, "Error fetching objects to export", attributes={"objects": failed})
        lines = [json.dumps(each) for each in found]
        if not body.get("excludeExportDetails"):
            lines.append(json.dumps({"exportedCount": len(found), "missingRefCount": 0, "missingReferences": []}))
        return Reply(200, "\n".join(lines).encode(), NDJSON)

    def _import(self, asked: Asked, space: str, query: dict[str, str]) -> Reply:
        if not self.rights:
            return error(403, "Unable to bulk_create dashboard,index-pattern,search")
        if query.keys() - {"overwrite", "createNewCopies", "compatibilityMode"}:
            return error(400, f"[request query]: unknown {query}")
        if query.get("overwrite") == "true" and query.get("createNewCopies") == "true":
            return error(400, "cannot use [overwrite] with [createNewCopies]")
        file = _file_of(asked)
        if isinstance(file, Reply):
            return file
        given = [json.loads(line) for line in file.decode().splitlines() if line]
        errors, done = [], []
        for each in given:
            trouble = self._trouble(each, given, space, query.get("overwrite") == "true")
            told = {"id": each["id"], "type": each["type"], "meta": {"title": each["attributes"].get("title")}}
            if trouble:
                errors.append({**told, "error": trouble})
                continue
            done.append({**told, "managed": each["managed"], "overwrite": True})
            self.objects[space, each["type"], each["id"]] = _rewritten(each)
        success = {"successResults": done} if done else {}
        failed = {"errors": errors} if errors else {}
        body = {"success": not errors, "successCount": len(done), "warnings": [], **success, **failed}
        return Reply(200, body)

    def _trouble(self, each: Any, given: list[Any], space: str, overwrite: bool) -> dict[str, Any] | None:
        if each["id"] in self.refused:
            return self.refused[each["id"]]
        if each["type"] not in ("index-pattern", "search", "dashboard"):
            return {"type": "unsupported_type"}
        if not each.get("typeMigrationVersion"):
            return {"type": "unknown", "statusCode": 500, "message": "all migrations would be run"}
        major = int(self.version.split(".")[0])
        if each["coreMigrationVersion"].split(".")[0] > str(major):
            return {"type": "unknown", "statusCode": 422, "message": "belongs to a more recent version of Kibana"}
        if found := object_violations(each):
            return {"type": "unknown", "statusCode": 400, "message": found[0]}
        known = {(one["type"], one["id"]) for one in given}
        known |= {(kind, id) for where, kind, id in self.objects if where == space}
        lacking = [one for one in each["references"] if (one["type"], one["id"]) not in known]
        if lacking:
            return {"type": "missing_references", "references": lacking}
        if (space, each["type"], each["id"]) in self.objects and not overwrite:
            return {"type": "conflict"}
        return None


def _file_of(asked: Asked) -> bytes | Reply:
    kind = asked.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        return error(415, "Unsupported Media Type")
    form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + asked.body, policy=email.policy.HTTP)
    parts = [part for part in form.iter_parts() if part.get_param("name", header="content-disposition") == "file"]
    if len(parts) != 1 or form.defects:
        return error(400, "[request body.file]: expected value of type [Stream] but got [undefined]")
    name = parts[0].get_filename() or ""
    if not name.endswith(".ndjson"):
        return error(400, f"Invalid file extension .{name.rpartition('.')[2]}")
    return parts[0].get_payload(decode=True)


def _rewritten(given: dict[str, Any]) -> dict[str, Any]:
    """As newer versions keep it: sessions in tabs, dashboards serialised anew, everything with a later version."""
    made = json.loads(json.dumps(given))
    attributes = made["attributes"]
    if made["type"] == "search":
        kept = {
            name: attributes.pop(name) for name in ("columns", "sort", "grid", "hideChart", "kibanaSavedObjectMeta")
        }
        attributes["tabs"] = [{"id": "t1", "label": "Untitled", "attributes": kept}]
        made["typeMigrationVersion"] = "10.8.0"
    if made["type"] == "dashboard":
        panels = [{key: each[key] for key in sorted(each)} for each in json.loads(attributes["panelsJSON"])]
        attributes["panelsJSON"] = json.dumps(panels)
        attributes["sections"] = []
        made["typeMigrationVersion"] = "10.3.0"
    made |= {"created_at": "2026-11-03T12:00:00.000Z", "updated_at": "2026-11-03T12:00:00.000Z", "version": "WzEsMV0="}
    return made


def _handler(double: KibanaDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            reply = double.answer(Asked(self.command, self.path, self.headers, self.rfile.read(length)))
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            with suppress(OSError):
                self.send_response(reply.status)
                for name, value in {"content-type": reply.kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815 - the names of the standard library

        def log_message(self, *arguments: Any) -> None:
            """Nothing."""

    return Handler
