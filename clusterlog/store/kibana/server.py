"""One Kibana: which version it is, whether a space is there, and its interface for saved objects.

Every request carries ``kbn-xsrf``, without which Kibana changes nothing. An answer with status 200 may tell of failures
all the same: each object is judged by itself.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clusterlog.encode.compact import loads
from clusterlog.encode.console import addresses
from clusterlog.errors import SettingError, StoreDenied, StoreUnavailable
from clusterlog.settings import Settings
from clusterlog.settings.servers.hosts import hosts
from clusterlog.store.elasticsearch.transport import Answer, Client
from clusterlog.store.kibana.objects import Object, ndjson

TIMEOUT_S = 60.0
OLDEST = tuple(map(int, addresses.OLDEST.split(".")))
Key = tuple[str, str]
"""Type and id of a saved object."""
_HEADERS = {"kbn-xsrf": "true"}
_LONGEST = 300


class Kibana:
    """The space of a Kibana that an address names, over a client for the address without it."""

    def __init__(self, client: Client, space: str = "") -> None:
        self.client = client
        self.space = space
        self._prefix = f"/s/{space}" if space else ""

    @classmethod
    def of(cls, settings: Settings) -> Kibana:
        """For the setting ``kibana``. A user and password in it are stronger than a token, which is for the store.

        Nothing is sent yet. Raises SettingError and NotAllowed for settings and files that cannot be used.
        """
        if not settings.kibana:
            raise SettingError("no Kibana is named: --kibana https://host:5601, or the setting kibana")
        base, space = addresses.split(settings.kibana)
        found = hosts(base)
        if len(found) > 1:
            raise SettingError(f"kibana: expected the address of one Kibana, these are {len(found)}")
        if found[0].login is not None:
            settings = replace(settings, token="", token_file="")
        return cls(Client.of(settings, url=base), space)

    @property
    def url(self) -> str:
        """Its address as it may be shown, with the space."""
        return f"{self.client.url}{self._prefix}"

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self.client.close()

    def check(self) -> str:
        """Its version, if it is one that reads our objects and has our space.

        Raises SettingError for a version that is too old and a space that is not there, StoreUnavailable and
        StoreDenied with what is wrong.
        """
        answer = self._asked("GET", "/api/status")
        if answer.status != 200:
            raise trouble(answer)
        told = answer.body.get("version") if isinstance(answer.body, dict) else None
        version = told.get("number") if isinstance(told, dict) else None
        if not isinstance(version, str):
            raise _untold(answer)
        if number_of(version) < OLDEST:
            raise SettingError(
                f"{self.client.url}: is of version {version[:20]}, and needed is Kibana {addresses.OLDEST} or newer "
                "(OpenSearch Dashboards is another program)"
            )
        if self.space:
            self._check_space()
        return version

    def _check_space(self) -> None:
        answer = self._asked("GET", f"/api/spaces/space/{self.space}")
        if answer.status == 404:
            raise SettingError(f"{self.client.url}: has no space {self.space!r}: make it first, or leave out /s/…")
        if answer.status != 200:
            raise trouble(answer)

    def look(self, keys: Iterable[Key]) -> dict[Key, Object]:
        """Those of the objects that are there, as Kibana has them. Raises StoreUnavailable and StoreDenied."""
        wanted = list(keys)
        answer = self._exported(wanted)
        if answer.status == 400 and (absent := _absent(answer)):
            wanted = [each for each in wanted if each not in absent]
            if not wanted:
                return {}
            answer = self._exported(wanted)
        if answer.status != 200:
            raise trouble(answer)
        found: dict[Key, Object] = {}
        try:
            for line in answer.content.splitlines():
                each = loads(line)
                found[each["type"], each["id"]] = each
        except (ValueError, TypeError, KeyError):
            raise _no_answer(answer) from None
        return {key: found[key] for key in wanted if key in found}

    def _exported(self, keys: Sequence[Key]) -> Answer:
        asked = [{"type": kind, "id": id} for kind, id in keys]
        body = {"objects": asked, "excludeExportDetails": True, "includeReferencesDeep": False}
        return self._asked("POST", f"{self._prefix}/api/saved_objects/_export", body)

    def put(self, objects: Sequence[Object]) -> dict[str, str]:
        """Import objects, over those that are there. Returns why some are not there as sent, by id.

        Raises StoreUnavailable and StoreDenied where nothing of it was done.
        """
        boundary = f"clusterlog-{secrets.token_hex(16)}"
        answer = self._asked(
            "POST",
            f"{self._prefix}/api/saved_objects/_import",
            _multipart(boundary, ndjson(objects)),
            params={"overwrite": "true"},
            headers={"content-type": f"multipart/form-data; boundary={boundary}"},
        )
        if answer.status != 200:
            raise trouble(answer)
        told = answer.body
        if not isinstance(told, dict) or not isinstance(told.get("success"), bool):
            raise _no_answer(answer)
        failed = {str(each.get("id")): _failure(each) for each in _list(told, "errors")}
        renamed = [each for each in _list(told, "successResults") if each.get("destinationId")]
        failed |= {str(each.get("id")): _renamed(each) for each in renamed}
        if not failed and not (told["success"] and told.get("successCount") == len(objects)):
            why = f"Kibana says that it took {told.get('successCount', 0)} of {len(objects)} objects, and not why"
            failed = {str(each["id"]): why for each in objects}
        return failed

    def remove(self, key: Key) -> None:
        """Delete an object; one that is not there is gone already. Raises StoreUnavailable and StoreDenied."""
        kind, id = key
        answer = self._asked("DELETE", f"{self._prefix}/api/saved_objects/{kind}/{addresses.quoted(id)}")
        if answer.status not in (200, 404) or not isinstance(answer.body, dict):
            raise trouble(answer)

    def _asked(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {**_HEADERS, **(headers or {})}
        return self.client.call(method, path, body, params=params, timeout=TIMEOUT_S, headers=sent)


def trouble(answer: Answer) -> StoreUnavailable:
    """What an answer means that is not what was asked for, in one line, and what to do about it."""
    status, where = answer.status, answer.node
    reason = _reason(answer.body)
    because = f": {reason}" if reason else ""
    if status == 401:
        if not answer.credentials:
            return StoreDenied(f"{where}: wants to know who we are (401): a user and password in its address, or token")
        return StoreDenied(f"{where}: does not accept our {answer.credentials} (401){because}")
    if status == 403:
        credentials = answer.credentials or "lack of credentials"
        told = f"{where}: our {credentials} may not do this (403){because}"
        return StoreDenied(f"{told}; needed is the Kibana privilege Saved Objects Management: All")
    if status == 407:
        return StoreUnavailable(f"{where}: the proxy before it wants a user and password (407)", "wait")
    if status == 409:
        return StoreUnavailable(f"{where}: somebody else changes the same objects (409){because}: try again")
    if status == 413:
        return StoreUnavailable(
            f"{where}: too much for one request (413): savedObjects.maxImportPayloadBytes bounds it"
        )
    if 300 <= status < 400:
        to = answer.headers.get("location") or ""
        hint = f" to {to[:200]}: is a part of its address missing, as server.basePath?" if to else ""
        return StoreUnavailable(f"{where}: leads elsewhere ({status}){hint}", "wait")
    if status >= 500:
        ready = "is not ready yet" if status == 503 else "fails"
        return StoreUnavailable(f"{where}: {ready} ({status}){because}")
    if status == 404 or not reason:
        return StoreUnavailable(
            f"{where}: does not do what Kibana does ({status}){because}: its address is its own, not the store's, "
            "as https://host:5601",
            "wait",
        )
    return StoreUnavailable(f"{where}: refuses it ({status}){because}", "wait")


def _untold(answer: Answer) -> StoreUnavailable:
    """For an answer without a version: Kibana keeps that from strangers, and pages in between have none."""
    if isinstance(answer.body, dict) and "status" in answer.body:
        who = f"our {answer.credentials} is not enough" if answer.credentials else "it does not know who we are"
        return StoreDenied(f"{answer.node}: does not tell its version: {who}")
    return _no_answer(answer)


def _no_answer(answer: Answer) -> StoreUnavailable:
    return StoreUnavailable(
        f"{answer.node}: answers {answer.status}, but not as Kibana does: is a proxy or a log-in page in between?",
        "wait",
    )


def _reason(body: Any) -> str:
    """What an answer tells about an error: a text of Kibana's, or the reason of Elasticsearch behind it."""
    told = body.get("message") if isinstance(body, dict) else None
    error = body.get("error") if isinstance(body, dict) else None
    failed = [each["error"] for each in _fetched(body) if isinstance(each.get("error"), dict)]
    if failed and isinstance(failed[0].get("message"), str):
        told = f"{told}: {failed[0]['message']}"
    if not isinstance(told, str):
        told = error.get("reason") if isinstance(error, dict) else error
    return " ".join(told.split())[:_LONGEST] if isinstance(told, str) else ""


def _absent(answer: Answer) -> set[Key]:
    """The objects that an export failed for, if it was for nothing but that they are not there."""
    failed = _fetched(answer.body)
    errors = [each.get("error") for each in failed]
    statuses = {each.get("statusCode") if isinstance(each, dict) else None for each in errors}
    if 403 in statuses:
        raise trouble(replace(answer, status=403))
    return {(str(each.get("type")), str(each.get("id"))) for each in failed} if statuses == {404} else set()


def _fetched(body: Any) -> list[dict[str, Any]]:
    return _list(body.get("attributes"), "objects") if isinstance(body, dict) else []


def _list(told: Any, name: str) -> list[dict[str, Any]]:
    found = told.get(name) if isinstance(told, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _failure(told: Mapping[str, Any]) -> str:
    """Why one object was not imported."""
    raw = told.get("error")
    error: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    what = f"{told.get('type')} {told.get('id')}"
    kind = str(error.get("type"))
    if kind == "missing_references":
        lacking = ", ".join(f"{each.get('type')} {each.get('id')}" for each in _list(error, "references"))
        return f"{what}: refers to what is not there, {lacking}"
    if kind in ("conflict", "ambiguous_conflict"):
        return f"{what}: is there under another id, of another space: remove that one first"
    if kind == "unsupported_type":
        return f"{what}: this Kibana knows no such objects"
    reason = error.get("message") or error.get("statusCode") or kind
    return f"{what}: {' '.join(str(reason).split())[:_LONGEST]}"


def _renamed(told: Mapping[str, Any]) -> str:
    what, id = f"{told.get('type')} {told.get('id')}", told.get("destinationId")
    return f"{what}: was given the id {id}, to which nothing of ours leads"


def _multipart(boundary: str, content: bytes) -> bytes:
    """A form with one file (RFC 7578); Kibana goes by the end of its name."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clusterlog.ndjson"\r\n'
        "Content-Type: application/ndjson\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def number_of(version: str) -> tuple[int, ...]:
    """A version as numbers that can be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
