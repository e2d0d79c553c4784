"""What happened, as the bytes of an ECS document without its number.

A document is put together from fragments: the numbering head (per instance), logger and service (cached per logger
and level), message and template (cached by text), the scope (serialised when it was bound), and the caller's own
fields, the only part encoded at the call. Whatever is not plain goes the thorough way: a sanitized tree, encoded
whole; and if even that fails, a minimal record made by hand. No log call loses its event to formatting.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterlog.context.request import NOTHING, Scope, current
from clusterlog.encode.compact import dumps
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.failure import describe
from clusterlog.record.redact import Redactor
from clusterlog.record.shapes import SHORTEST

ECS_VERSION = "9.1.0"
CACHED_MESSAGE = 1024
CACHE_SIZE = 4096
FIELD_LIMIT = 32 << 10
_PLAIN = frozenset({str, int, float, bool, type(None)})
_TWO_63 = float(1 << 63)
_NOT_PLAIN: tuple[str, ...] = ("\0",)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: the members that are equal in every event of a process."""

    service: str
    node: str
    environment: str
    host: str

    def document(self) -> dict[str, Any]:
        """As nested ECS objects."""
        return {
            "ecs": {"version": ECS_VERSION},
            "service": {"name": self.service, "node": {"name": self.node}, "environment": self.environment},
            "host": {"name": self.host},
        }


@dataclass(frozen=True, slots=True)
class Rendered:
    """A scope as bytes. ``middle`` closes ``clusterlog`` and holds the ids; ``open`` leads to the caller's own fields;
    ``plain`` is what follows the message where there are none. ``document`` and ``labels`` are the same as trees.
    """

    middle: bytes
    open: bytes
    plain: bytes
    keys: frozenset[str]
    document: Mapping[str, Any]
    labels: Mapping[str, Any]


class Encoder:
    """Encodes everything one process says.

    ``identity_hash(text)`` gives (hash, key id) of a user or session; ``metrics`` names the numbers that are copied to
    ``clusterlog.metrics``.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        redactor: Redactor,
        metrics: frozenset[str] = frozenset(),
        identity_hash: Callable[[str], tuple[str, str]] = lambda text: ("", ""),
    ) -> None:
        self._origin = origin.document()
        self._static = dumps(self._origin)[1:-1]
        self._redactor = redactor
        self._suspicious = redactor.suspicious
        self._sanitizer = Sanitizer(redactor)
        self._metrics = metrics
        self._identity_hash = identity_hash
        self._heads: dict[tuple[str, int], bytes] = {}
        self._messages: dict[str, bytes] = {}
        self._shapes: dict[tuple[Any, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._nobody = self._rendered(None)

    def head(self, instance: str) -> Callable[[int, int], bytes]:
        """The numbering part for one instance: time stamp, process, ``event.id`` and ``event.sequence``."""
        template = b'%%09dZ","process":{"pid":%d,"entity_id":"%b"},"event":{"id":"%b-%%011x","sequence":%%d,' % (
            os.getpid(),
            instance.encode(),
            instance.encode(),
        )
        second, prefix = -1, b""

        def number(ns: int, sequence: int) -> bytes:
            nonlocal second, prefix
            whole, fraction = divmod(ns, 1_000_000_000)
            if whole != second:  # formatting the second anew for each event would cost as much as the rest
                prefix = time.strftime('{"@timestamp":"%Y-%m-%dT%H:%M:%S.', time.gmtime(whole)).encode()
                second = whole
            return prefix + template % (fraction, sequence, sequence)

        return number

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
    ) -> bytes:
        """A log line without its head. Never raises."""
        try:
            if failure is None and not args and stack is None:
                plain = self._plain(level, logger, event, fields)
                if plain:
                    return plain
            return self._thorough(level, logger, event, args, fields, failure, stack)
        except Exception as error:
            return self._minimal(level, logger, event, error)

    def _plain(self, level: int, logger: str, event: Any, fields: dict[str, Any]) -> bytes:
        """The fast way: only if every own field is a plain value under an innocent key. Empty if one is not."""
        head = self._heads.get((logger, level)) or self._logger_head(logger, level)
        message = self._messages.get(event) if type(event) is str else None
        if message is None:
            message = self._message(event)
        rendered = self._context()
        if not fields:
            return head + message + rendered.plain
        shape = (*fields, *map(type, fields.values()))
        numbers, texts = self._shapes.get(shape) or self._judge_shape(shape, fields)
        for name in numbers:
            # One comparison refuses NaN, both infinities, integers beyond 64 bits and shapes that are not plain.
            if name == "\0" or not -_TWO_63 < fields[name] < _TWO_63:
                return b""
        for name in texts:
            said = fields[name]
            # Most texts are too short for a secret's shape and have no sign that a name in them could need.
            if (len(said) >= SHORTEST or "=" in said or ":" in said or "(" in said) and self._suspicious(said):
                return b""
        own = dumps(fields)
        if len(own) > FIELD_LIMIT or not rendered.keys.isdisjoint(fields):
            return b""
        return b"".join((head, message, rendered.middle, rendered.open, own[1:], b"}"))

    def _logger_head(self, logger: str, level: int) -> bytes:
        name = self._sanitizer.text(logger, 256)
        described = dumps({"level": level_name(level), "logger": name})
        head = b'"kind":"event","dataset":"clusterlog.app"},"log":' + described + b"," + self._static
        return _keep(self._heads, (logger, level), head)

    def _message(self, event: Any) -> bytes:
        text = self._sanitizer.message(event)
        encoded = dumps(text)
        fragment = b',"message":' + encoded + b',"clusterlog":{"template":' + encoded
        if type(event) is str and len(event) <= CACHED_MESSAGE:
            _keep(self._messages, event, fragment)
        return fragment

    def _judge_shape(self, shape: tuple[Any, ...], fields: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Which of these fields are numbers, which are texts; keys and types alone decide the rest, once per shape."""
        names = tuple(fields)
        types = shape[len(names) :]
        innocent = all(
            type(name) is str and self._sanitizer.name(name) == name and not self._redactor.is_secret_key(name)
            for name in names
        )
        plain = innocent and _PLAIN.issuperset(types) and self._metrics.isdisjoint(names)
        numbers = tuple(n for n, t in zip(names, types, strict=True) if t is int or t is float) if plain else _NOT_PLAIN
        texts = tuple(n for n, t in zip(names, types, strict=True) if t is str)
        return _keep(self._shapes, shape, (numbers, texts))

    def _context(self) -> Rendered:
        scope = current.get()
        if scope is None:
            return self._nobody
        request = scope.request
        if request is not None:
            if request.ended is not None and scope.over():
                return self._nobody
            if scope.rendered_for is not request.facts:
                self.render(scope)
        rendered: Rendered | None = scope.rendered
        if rendered is None:
            self.render(scope)
            rendered = scope.rendered
        return rendered or self._nobody

    def render(self, scope: Scope) -> None:
        """Serialise a scope; called when it is made and when its request has learned facts."""
        facts = scope.request.facts if scope.request is not None else NOTHING
        try:
            scope.rendered = self._rendered(scope)
        except Exception:
            scope.rendered = self._nobody
        scope.rendered_for = facts

    def _rendered(self, scope: Scope | None) -> Rendered:
        document, labels = self._scope_document(scope)
        inner = dumps(document.get("clusterlog", {}))[1:-1]
        ids = dumps({name: part for name, part in document.items() if name != "clusterlog"})[1:-1]
        middle = (b"," + inner if inner else b"") + b"}" + (b"," + ids if ids else b"")
        bound = dumps(labels)[1:-1]
        opened = b',"labels":{' + bound + (b"," if bound else b"")
        plain = middle + (b',"labels":{' + bound + b"}}" if bound else b"}")
        return Rendered(middle, opened, plain, frozenset(labels), document, labels)

    def _scope_document(self, scope: Scope | None) -> tuple[dict[str, Any], dict[str, Any]]:
        document: dict[str, Any] = {}
        if scope is None:
            return document, {}
        request = scope.request
        own: dict[str, Any] = {}
        user = scope.user
        labels: Mapping[str, Any] = scope.labels
        if request is not None:
            document["http"] = {"request": {"id": request.id}}
            document["trace"] = {"id": request.trace_id}
            document["span"] = {"id": scope.span_id or request.span_id}
            user = user if user is not None else request.user
            labels = {**request.facts, **labels}
            if request.session:
                own["session"] = {"hash": self._identity_hash(request.session)[0]}
        elif scope.span_id:  # a step outside of any request
            document["span"] = {"id": scope.span_id}
        if user is not None:
            hashed, key_id = self._identity_hash(user)
            document["user"] = {"hash": hashed}
            own["user"] = {"key_id": key_id}
        cleaned = self._sanitizer.clean(labels) if labels else {}
        measured = self._measured(cleaned)
        if measured:
            own["metrics"] = measured
        if own:
            document["clusterlog"] = own
        return document, cleaned

    def _measured(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in labels.items()
            if name in self._metrics and isinstance(value, int | float) and not isinstance(value, bool)
        }

    def _thorough(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: Mapping[str, Any],
        failure: BaseException | None,
        stack: str | None,
    ) -> bytes:
        template = self._sanitizer.message(event)
        message = self._sanitizer.formatted(event, args) if args else template
        body: dict[str, Any] = {"message": message, "clusterlog": {"template": template}}
        if stack:
            body["clusterlog"]["stack"] = self._sanitizer.text(stack, FIELD_LIMIT)
        return self._document("clusterlog.app", level, logger, body, fields, failure, self._context())

    def document(
        self,
        dataset: str,
        level: int,
        logger: str,
        message: str,
        body: Mapping[str, Any],
        *,
        labels: Mapping[str, Any] | None = None,
        failure: BaseException | None = None,
        scope: Scope | None = None,
    ) -> bytes:
        """An access, call or span event without its head; ``body`` is merged over the context's ids. Never raises."""
        try:
            if scope is not None and (scope.rendered is None or scope.rendered_for is not _facts(scope)):
                self.render(scope)
            rendered = self._context() if scope is None else scope.rendered
            whole = {"message": self._sanitizer.message(message), **self._sanitizer.tree(body)}
            return self._document(dataset, level, logger, whole, labels or NOTHING, failure, rendered)
        except Exception as error:
            return self._minimal(level, logger, message, error)

    def _document(
        self,
        dataset: str,
        level: int,
        logger: str,
        body: dict[str, Any],
        fields: Mapping[str, Any],
        failure: BaseException | None,
        rendered: Rendered,
    ) -> bytes:
        document: dict[str, Any] = {
            "kind": "event",
            "dataset": dataset,
            **body.pop("event", {}),
        }
        rest: dict[str, Any] = {
            "log": {"level": level_name(level), "logger": self._sanitizer.text(logger, 256)},
            **self._origin,
        }
        own = self._sanitizer.clean(fields) if fields else {}
        for part in (rendered.document, body, self._failure(failure)):
            _merge(rest, part)
        labels = {**rendered.labels, **own}
        if labels:
            rest["labels"] = labels
            measured = self._measured(own)
            if measured:
                _merge(rest, {"clusterlog": {"metrics": measured}})
        return dumps(document)[1:] + b"," + self._sanitizer.fit(rest)[1:]

    def _failure(self, failure: BaseException | None) -> dict[str, Any]:
        if failure is None:
            return {}
        told = describe(failure, redactor=self._redactor)
        error = {"type": told.type, "message": told.message, "stack_trace": told.stack_trace}
        inner: dict[str, Any] = {"fingerprint": told.fingerprint}
        if told.chain:
            inner["chain"] = [{"type": c.type, "message": c.message, "relation": c.relation} for c in told.chain]
        return {"error": error, "clusterlog": {"error": inner}}

    def _minimal(self, level: int, logger: str, event: Any, error: Exception) -> bytes:
        """Made by hand from texts that cannot fail: the last way before an event would be lost to formatting."""
        said = ascii(event)[:2000] if type(event) is str else f"<{type(event).__name__}>"
        why = f"{type(error).__name__}: not encodable"
        described = dumps({"level": level_name(level), "logger": ascii(logger)[1:257]})
        body = dumps({"message": said, "error": {"type": "clusterlog.EncodeError", "message": why}})
        head = b'"kind":"event","dataset":"clusterlog.app"},"log":' + described + b"," + self._static
        return head + b"," + body[1:]

    def state(self, action: str, facts: Mapping[str, Any]) -> bytes:
        """A state event without its head."""
        alarming = action in ("drop", "dead-letter", "crash-close", "silence")
        rest = {
            "log": {"level": "warning" if alarming else "info", "logger": "clusterlog"},
            **self._origin,
            "message": f"{action} {facts.get('instance', '')}".strip(),
            "clusterlog": {"state": dict(facts)},
        }
        event = {"kind": "state", "dataset": "clusterlog.state", "action": action}
        return dumps(event)[1:] + b"," + dumps(rest)[1:]


in_force: Encoder | None = None
"""The encoder of this process's road, for others that write the same words elsewhere; put here by ``start``."""


def level_name(level: int) -> str:
    """The ECS ``log.level`` of a number: Python's name in lower case, ``level 25`` where there is none."""
    return logging.getLevelName(level).lower() if type(level) is int else "notset"


def _facts(scope: Scope) -> Mapping[str, Any]:
    return scope.request.facts if scope.request is not None else NOTHING


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> Any:
    """Bounded by starting over: f-strings make every message different, and no order of use is worth its keeping."""
    if len(cache) >= CACHE_SIZE:
        cache.clear()
    cache[key] = value
    return value


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, Mapping):
            below = into.get(name)
            into[name] = merged = dict(below) if isinstance(below, Mapping) else {}
            _merge(merged, value)
        else:
            into[name] = value
