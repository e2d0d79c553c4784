"""The pieces of Ruby in our pipelines: run by Ruby where there is one, and told once more in Python for where not.

A test compares the two, so that what Python says may be believed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from pipelines.config import Plugin
from pipelines.filters import Event, get, put, remove, tag

RUBY = shutil.which("ruby")

_HARNESS = r"""
require "json"
class Event
  attr_reader :data
  def initialize(data) = @data = data
  def path(field) = field.start_with?("[") ? field.scan(/\[([^\[\]]+)\]/).flatten : [field]
  def get(field) = path(field).reduce(@data) { |node, key| node.is_a?(Hash) ? node[key] : nil }
  def set(field, value)
    *above, last = path(field)
    node = above.reduce(@data) { |inner, key| inner[key] ||= {} }
    raise "no object above #{field}" unless node.is_a?(Hash)
    node[last] = value
  end
  def remove(field)
    *above, last = path(field)
    node = above.reduce(@data) { |inner, key| inner.is_a?(Hash) ? inner[key] : nil }
    node.is_a?(Hash) ? node.delete(last) : nil
  end
  def to_hash = @data.reject { |name, _| name == "@metadata" }
  def to_json(*) = JSON.generate(to_hash)
end
code = eval("lambda { |event| #{ARGV[0]} }")
STDIN.each_line do |line|
  event = Event.new(JSON.parse(line))
  code.call(event)
  puts JSON.generate(event.data)
end
"""


def really(plugin: Plugin, events: Sequence[Event]) -> list[Event]:
    """What Ruby itself makes of the events; an exception in it is one here."""
    assert RUBY is not None
    lines = "".join(json.dumps(event) + "\n" for event in events)
    told = subprocess.run(
        [RUBY, "-e", _HARNESS, plugin.get("code")], input=lines, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def told(plugin: Plugin, event: Event) -> None:
    """The same in Python, by the id of the filter."""
    try:
        _PIECES[plugin.get("id")](event)
    except TypeError:  # as the filter does with an exception
        tag(event, "_rubyexception")


def _objects(event: Event) -> None:
    remove(event, "data_stream")
    names = ("labels", "event", "log", "service", "host", "http", "ecs", "error")
    moved = [(name, value) for name in names if (value := get(event, name)) is not None and not isinstance(value, dict)]
    for name, value in moved:
        remove(event, name)
        put(event, f"[labels][{name}]", _to_s(value))


def _to_s(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _level(event: Event) -> None:
    levels = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
    priority = get(event, "[@metadata][edge][priority]")
    put(event, "[@metadata][edge][level]", levels[(6 if priority is None else int(priority)) % 8])
    put(event, "message", (get(event, "message") or "").removeprefix("\ufeff").strip(" \t\r\n\f\v\0"))


def _nothing(event: Event) -> None:
    for name, value in [(name, value) for name, value in event.items() if name != "@metadata"]:
        if isinstance(value, dict):
            made = _filled(value)
            event.pop(name) if not made else event.update({name: made})


def _filled(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    filled = {name: _filled(inner) for name, inner in value.items()}
    return {name: inner for name, inner in filled.items() if inner not in (None, "", {})}


def _as_text(event: Event) -> None:
    original = json.dumps({name: value for name, value in event.items() if name != "@metadata"}, separators=(",", ":"))
    kept = ("[http][request][id]", "[trace][id]", "[service][name]", "[service][environment]", "[event][id]")
    found = {name: value for name in kept if isinstance(value := get(event, name), str)}
    reason = str(get(event, "[@metadata][dead_letter_queue][reason]") or "")[:500]
    for name in [name for name in event if name not in ("@timestamp", "@metadata")]:
        remove(event, name)
    id = found.pop("[event][id]", None) or str(event["@timestamp"])
    for name, value in found.items():
        put(event, name, value[:512])
    facts = {"id": f"dead-{id[:256]}", "kind": "event", "dataset": "clusterlog.unparsed", "reason": reason}
    put(event, "event", {**facts, "original": original})
    put(event, "[log][level]", "warning")
    put(event, "message", "Elasticsearch refused an event")
    namespace = re.sub(r"[^\w.]", "_", found.get("[service][environment]", "").lower())[:100]
    stream = {"type": "logs", "dataset": "clusterlog.unparsed", "namespace": namespace or "default"}
    put(event, "data_stream", stream)


_PIECES: dict[str, Callable[[Event], None]] = {
    "objects": _objects,
    "level": _level,
    "nothing": _nothing,
    "as-text": _as_text,
}
