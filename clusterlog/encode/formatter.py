"""Lines of ECS JSON for people: what the road would have said, on whatever stream a handler of theirs writes to."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.core import BaseJsonFormatter

from clusterlog.encode.compact import dumps, loads
from clusterlog.encode.ecs import Encoder
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import words
from clusterlog.settings import load


class JsonFormatter(BaseJsonFormatter):
    """A ``logging.Formatter`` whose lines have the road's own fields, redaction and limits; ``start`` is not needed.

    A line has no ``event.id`` and no sequence: it is a view, and the event in the spool is the record. ``fmt``,
    ``datefmt``, ``style`` and ``validate`` are there because ``dictConfig`` passes them; the fields are always those
    of ECS. ``prefix``, ``static_fields`` and ``rename_fields`` (both of members of the document) are python-json-
    logger's, as are ``process_log_record`` and ``jsonify_log_record`` for those who derive a class. All other
    arguments are settings (``service``, ``node``, ``environment``, ``redact`` …) as for ``start``, whose own hold once
    it was called. Raises SettingError for a setting that does not exist or cannot be read; formatting never raises.

        {"formatters": {"json": {"()": "clusterlog.JsonFormatter", "service": "shop"}}}
    """

    def __init__(
        self,
        fmt: Any = None,
        datefmt: str | None = None,
        style: str = "%",
        validate: bool = True,
        *,
        prefix: str = "",
        static_fields: Mapping[str, Any] | None = None,
        rename_fields: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            prefix=prefix,
            static_fields=dict(static_fields or {}),
            rename_fields=dict(rename_fields or {}),
            defaults=dict(defaults or {}),
        )
        self._own = Encoder.of(load(settings))

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line = self._line(record)
        try:
            data: dict[str, Any] = {}
            self.add_fields(data, record, loads(line))
            return str(self.serialize_log_record(self.process_log_record(data)))
        except Exception:  # a derived class, or a static field that JSON has no form for
            return line.decode()

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the document together: defaults, then what the road says (``message_dict``), then the static fields."""
        for members in (self.defaults, message_dict, self.static_fields):
            for name, value in members.items():
                log_data[self.rename_fields.get(name, name)] = value

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """JSON without line breaks, whatever is in it."""
        return dumps(log_data).decode()

    def _line(self, record: logging.LogRecord) -> bytes:
        """The document as the road would have it, but for its number."""
        encoder = getattr(slot.road, "encoder", None)
        if not isinstance(encoder, Encoder):
            encoder = self._own
        event, args, fields, failure = words(record)
        said = encoder.line(record.levelno, record.name, event, args, fields, failure, record.stack_info)
        head = {"@timestamp": _instant(record.created), "process": {"pid": record.process or os.getpid()}}
        return dumps(head)[:-1] + b',"event":{' + said


def _instant(seconds: Any) -> str:
    """RFC 3339 in UTC with nine digits, as on the road; of a time that is none, now."""
    try:
        whole, fraction = divmod(int(seconds * 1e9), 1_000_000_000)
        shown = time.gmtime(whole)
    except (TypeError, ValueError, OverflowError, OSError):
        whole, fraction = divmod(time.time_ns(), 1_000_000_000)
        shown = time.gmtime(whole)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', shown)}.{fraction:09}Z"
