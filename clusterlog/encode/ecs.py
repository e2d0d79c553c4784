"""What happened, as the bytes of an ECS document without its number.

A document is put together from fragments: the numbering head (per instance), logger and service (cached per logger
and level), message and template (cached by text), the scope (serialised when it was bound), and the caller's own
fields, the only part encoded at the call. Fields that are not plain are sanitized first; a document that is too large
is read back and cut; behind all that stands a minimal record made by hand. No log call loses its event to formatting.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from clusterlog.context import innermost
from clusterlog.context.request import NOTHING, Scope
from clusterlog.encode.compact import dumps, loads
from clusterlog.encode.facts import Origin, legal
from clusterlog.encode.identity import IdentityHash, key_file
from clusterlog.encode.limits import Limits
from clusterlog.encode.rendered import Bound, Rendered, Tree, after_comma, measured, merge
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.failure import describe, raised_by_signal
from clusterlog.record.redact import Redactor
from clusterlog.settings import Settings

APP = "clusterlog.app"
EVENT_LIMIT = (1 << 20) - 4096
"""Bytes of a document without its head; with it, it fits into a record of the spool."""
NAME_LIMIT = 256
CACHE_SIZE = 4096
CACHED_TEXT = 256
"""Characters; longer texts are not remembered."""
_ALARMING = frozenset({"drop", "dead-letter", "crash-close", "silence"})


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
        self._sanitizer = Sanitizer(redactor, Limits(event=EVENT_LIMIT))
        self._text_limit = self._sanitizer.limits.text
        self._metrics = metrics
        self._identity_hash = identity_hash
        self._heads: dict[tuple[str, int], bytes] = {}
        self._seen: set[str] = set()
        self._prefixes: dict[tuple[int, str, str], bytes] = {}
        self._templates: dict[str, bytes] = {}
        self._innocent_names: set[str] = set()
        self._innocent_texts: set[str] = set()
        self._nobody = Rendered({}, {}, metrics, maker=self)

    @classmethod
    def of(cls, settings: Settings, identity_hash: Callable[[str], tuple[str, str]] | None = None) -> Encoder:
        """The encoder that settings ask for."""
        return cls(
            Origin(settings.service, settings.node, settings.environment, socket.gethostname()),
            redactor=Redactor(settings.redact),
            metrics=frozenset(settings.metrics),
            identity_hash=identity_hash or IdentityHash(key_file(settings)),
        )

    def head(self, instance: str) -> Callable[[int], bytes]:
        """The numbering part for one instance: time stamp, process, ``event.id`` and ``event.sequence``.

        For a second since the epoch it is a template for ``%`` with nanoseconds, sequence, sequence.
        """
        numbers = b'%%09dZ","process":{"pid":%d,"entity_id":"%b"},"event":{"id":"%b-%%011x","sequence":%%d,' % (
            os.getpid(),
            instance.encode(),
            instance.encode(),
        )

        def stamp(second: int) -> bytes:
            return time.strftime('{"@timestamp":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode() + numbers

        return stamp

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
        bound: Bound | None = None,
    ) -> bytes:
        """A log line without its head; ``bound`` is what ``bound()`` made of a logger's own fields. Never raises."""
        try:
            rendered = self._context() if bound is None else self._joined(bound)
            if type(event) is str and not args:
                prefix = self._prefixes.get((level, logger, event)) or self._prefix(level, logger, event)
            else:
                prefix = self._logger_head(logger, level) + self._message(event, args)
            if failure is not None or stack or (self._metrics and not self._metrics.isdisjoint(fields)):
                line = self._careful(prefix, rendered, fields, failure, stack)
            elif not fields:
                line = prefix + rendered.plain
            elif own := self._plain(fields, rendered):
                line = b"".join((prefix, rendered.lead, own, b"}"))
            else:
                line = self._careful(prefix, rendered, fields, None, None)
            return line if len(line) <= EVENT_LIMIT else self._cut(line)
        except Exception as error:
            if raised_by_signal(error):
                raise
            return self._minimal(level, logger, event, error)

    def bound(self, fields: Mapping[str, Any]) -> Bound:
        """A logger's own fields, serialised now, for ``line``. Never raises."""
        return Bound(self._sanitizer.clean(fields))

    def sample(
        self, event: Any, args: tuple[Any, ...], fields: Mapping[str, Any], bound: Bound | None
    ) -> tuple[str, str, Tree]:
        """Message, template and labels of a line that is not said itself, for ``facts.repeated``."""
        template = self._sanitizer.message(event)
        message = self._sanitizer.formatted(event, args) if args else template
        return message, template, {**(bound.labels if bound else {}), **self._sanitizer.clean(fields)}

    def _plain(self, fields: dict[str, Any], rendered: Rendered) -> bytes:
        """Own fields as the inside of an object and its end, if all are plain values under innocent names; else empty.

        What has been judged innocent once is known: most calls say the same few names and texts again and again.
        """
        texts = self._innocent_texts
        try:
            if not self._innocent_names.issuperset(fields) and not all(map(self._judge_name, fields)):
                return b""
            for value in fields.values():
                kind = type(value)
                if kind is str:
                    if value not in texts and not self._judge_text(value):
                        return b""
                elif kind is int:
                    if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
                        return b""
                elif kind is float:
                    if value - value != 0.0:
                        return b""
                elif kind is not bool and value is not None:
                    return b""
            own = dumps(fields)
        except Exception as error:  # lone surrogates; a subclass of str as a name, whose hash may be anything
            if raised_by_signal(error):
                raise
            return b""
        if len(own) > self._text_limit or (rendered.names and not rendered.names.isdisjoint(fields)):
            return b""
        return own[1:]

    def _judge_name(self, name: str) -> bool:
        if type(name) is not str or self._redactor.is_secret_key(name) or self._sanitizer.name(name) != name:
            return False
        _remember(self._innocent_names, name)
        return True

    def _judge_text(self, text: str) -> bool:
        if self._redactor.suspicious(text):
            return False
        if len(text) <= CACHED_TEXT:
            _remember(self._innocent_texts, text)
        return True

    def _prefix(self, level: int, logger: str, event: str) -> bytes:
        """Head and message of a line without arguments; remembered the second time, which few f-strings have."""
        prefix = self._logger_head(logger, level) + self._message(event, ())
        if event in self._seen:
            _keep(self._prefixes, (level, logger, event), prefix)
        elif len(event) <= CACHED_TEXT:
            _remember(self._seen, event)
        return prefix

    def _logger_head(self, logger: str, level: int) -> bytes:
        head = self._heads.get((logger, level))
        if head is None:
            described = dumps({"level": level_name(level), "logger": self._sanitizer.text(logger, NAME_LIMIT)})
            head = b'"kind":"event","dataset":"clusterlog.app"},"log":' + described + b"," + self._static
            _keep(self._heads, (logger, level), head)
        return head

    def _message(self, event: Any, args: tuple[Any, ...]) -> bytes:
        if not args:
            plain = type(event) is str and len(event) <= CACHED_TEXT and event.isascii()
            plain = plain and not self._redactor.suspicious(event)
            encoded = dumps(event if plain else self._sanitizer.message(event))
            return b',"message":' + encoded + b',"clusterlog":{"template":' + encoded
        template = self._templates.get(event) if type(event) is str else None
        if template is None:
            template = b',"clusterlog":{"template":' + dumps(self._sanitizer.message(event))
            if type(event) is str and len(event) <= CACHED_TEXT:
                _keep(self._templates, event, template)
        return b',"message":' + dumps(self._sanitizer.formatted(event, args)) + template

    def _careful(
        self,
        prefix: bytes,
        rendered: Rendered,
        fields: dict[str, Any],
        failure: BaseException | None,
        stack: str | None,
    ) -> bytes:
        """The same document from the same fragments, with an exception, a stack, metrics, or fields not plain."""
        inside, outside = self._failure(failure, stack)
        own = self._plain(fields, rendered) if fields else b""
        numbers = measured(fields, self._metrics) if own else {}
        if numbers and rendered.measures:
            own = b""
        elif numbers:
            inside["metrics"] = numbers
        if fields and not own:
            labels = {**rendered.labels, **self._sanitizer.clean(fields)}
            rendered = Rendered(rendered.document, labels, self._metrics)
        end = (rendered.opening, own, b"}") if own else (rendered.closing,)
        return b"".join((prefix, after_comma(inside), rendered.middle, after_comma(outside), *end))

    def _failure(self, failure: BaseException | None, stack: str | None) -> tuple[Tree, Tree]:
        """What an exception and a stack add to ``clusterlog``, and to the document."""
        inside: Tree = {}
        if stack:
            inside["stack"] = self._sanitizer.text(stack, self._text_limit)
        if failure is None:
            return inside, {}
        told = describe(failure, redactor=self._redactor)
        error: Tree = {"fingerprint": told.fingerprint}
        inside["error"] = error
        if told.chain:
            error["chain"] = [{"type": c.type, "message": c.message, "relation": c.relation} for c in told.chain]
        if told.left_out:
            error["left_out"] = told.left_out
        return inside, {"error": {"type": told.type, "message": told.message, "stack_trace": told.stack_trace}}

    def _context(self) -> Rendered:
        """The current scope as bytes; one whose request ended longer than ``linger`` ago counts as none."""
        scope = innermost.now()
        if scope is None:
            return self._nobody
        request = scope.request
        if request is not None and request.ended is not None and scope.over():
            return self._nobody
        facts = NOTHING if request is None else request.facts
        rendered: Rendered | None = scope.rendered
        if rendered is None or rendered.facts is not facts or rendered.maker is not self:
            return self._rendered(scope)
        return rendered

    def _joined(self, bound: Bound) -> Rendered:
        """The current scope together with a logger's own fields."""
        rendered = self._context()
        joined = bound.joined
        if joined is None or joined.base is not rendered:
            bound.joined = joined = rendered.with_bound(bound, self._metrics)
        return joined

    def render(self, scope: Scope) -> None:
        """Serialise a scope, which is done when it is made and when its request has learned facts. Never raises."""
        try:
            self._rendered(scope)
        except Exception as error:  # RecursionError where hardly any stack is left: the next line tries again
            if raised_by_signal(error):
                raise
            scope.rendered = None

    def _rendered(self, scope: Scope) -> Rendered:
        facts = NOTHING if scope.request is None else scope.request.facts
        labels = self._sanitizer.clean({**facts, **scope.labels}) if facts or scope.labels else {}
        scope.rendered = rendered = Rendered(self._ids(scope), labels, self._metrics, maker=self, facts=facts)
        return rendered

    def _ids(self, scope: Scope) -> Tree:
        """Who is asking, as nested ECS objects."""
        document: Tree = {}
        own: Tree = {}
        user, span, request, trace = scope.user, scope.own_span, scope.request, scope.traced or scope.request
        if request is not None:
            document["http"] = {"request": {"id": request.id}}
            user = request.user if user is None else user
            if request.session:
                own["session"] = {"hash": self._identity_hash(request.session)[0]}
        if trace is not None:
            document["trace"] = {"id": trace.trace_id}
        if scope.parent:
            own["parent"] = {"span_id": scope.parent}
        if span:
            document["span"] = {"id": span}
        if user is not None:
            hashed, key_id = self._identity_hash(user)
            document["user"] = {"hash": hashed}
            own["user"] = {"key_id": key_id}
        if own:
            document["clusterlog"] = own
        return document

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
            rendered = self._context() if scope is None else self._rendered(scope)
            told = legal(body, self._sanitizer)
            event = {"kind": "event", "dataset": dataset, **told.pop("event", {})}
            log = {"level": level_name(level), "logger": self._sanitizer.text(logger, NAME_LIMIT)}
            rest: Tree = {"log": log, **self._origin, "message": self._sanitizer.message(message)}
            own = {**rendered.labels, **self._sanitizer.clean(labels)} if labels else rendered.labels
            numbers = measured(own, self._metrics)
            inside, outside = self._failure(failure, None)
            more = {"metrics": numbers, **inside} if numbers else inside
            for part in (rendered.document, told, {"clusterlog": more} if more else {}, outside):
                merge(rest, part)
            if own:
                rest["labels"] = own
            return dumps(event)[1:] + b"," + self._sanitizer.fit(rest)[1:]
        except Exception as error:
            if raised_by_signal(error):
                raise
            return self._minimal(level, logger, message, error, dataset)

    def state(
        self, action: str, facts: Mapping[str, Any], message: str = "", control: Mapping[str, Any] | None = None
    ) -> bytes:
        """A state event without its head; ``control`` are facts of a change of levels, or of a node.

        Among those ``service`` and ``node`` name whom it is about, where that is not who says it.
        """
        own: Tree = {"state": dict(facts)}
        rest: Tree = {
            "log": {"level": "warning" if action in _ALARMING else "info", "logger": "clusterlog"},
            **self._origin,
            "message": self._sanitizer.message(message) if message else f"{action} {facts.get('instance', '')}".strip(),
            "clusterlog": own,
        }
        if control:
            told = legal(control, self._sanitizer)
            names = {"service": rest["service"]["name"], "node": rest["service"]["node"]["name"]}
            names |= {name: told.pop(name) for name in names if name in told}
            rest["service"] = {**rest["service"], "name": names["service"], "node": {"name": names["node"]}}
            own |= {"state": legal(facts, self._sanitizer), **({"control": told} if told else {})}
        event = {"kind": "state", "dataset": "clusterlog.state", "action": action}
        return dumps(event)[1:] + b"," + dumps(rest)[1:]

    def _cut(self, line: bytes) -> bytes:
        """A document that is too large, read back and cut by its texts and labels; its ids survive."""
        document = loads(b'{"event":{' + line)
        event = document.pop("event")
        return dumps(event)[1:] + b"," + self._sanitizer.fit(document)[1:]

    def _minimal(self, level: int, logger: str, event: Any, error: Exception, dataset: str = APP) -> bytes:
        """Made by hand from texts that cannot fail: the last way before an event would be lost to formatting."""
        said = ascii(event[:2000])[1:-1] if type(event) is str else f"<{type(event).__name__}>"
        log = {"level": level_name(level), "logger": ascii(logger)[1:-1][:NAME_LIMIT]}
        told = {"type": "clusterlog.EncodeError", "message": f"{type(error).__name__}: not encodable"}
        rest = {"log": log, **self._origin, "message": said, "error": told}
        return dumps({"kind": "event", "dataset": dataset})[1:] + b"," + dumps(rest)[1:]


def level_name(level: int) -> str:
    """The ECS ``log.level`` of a number: Python's name in lower case, ``level 25`` where there is none."""
    return str(logging.getLevelName(level)).lower()


def _keep(cache: dict[Any, Any], key: Any, value: bytes) -> bytes:
    """Bounded by starting over: f-strings make every message different, and no order of use is worth its keeping."""
    if len(cache) >= CACHE_SIZE:
        cache.clear()
    cache[key] = value
    return value


def _remember(known: set[str], text: str) -> None:
    if len(known) >= CACHE_SIZE:
        known.clear()
    known.add(text)
