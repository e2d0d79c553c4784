"""A writer on a temporary spool, with documents small enough to read."""

import json
import time

import pytest

from clusterlog.context.ids import new_entity_id
from clusterlog.spool.reader import instances, records
from clusterlog.spool.segment import Record
from clusterlog.spool.writer import Writer


def numbering(instance):
    return lambda second: b'{"second":%d,"ns":%%d,"id":"%b-%%011x","sequence":%%d,' % (second, instance.encode())


def state(action, facts):
    return json.dumps({"action": action, "facts": facts})[1:].encode()


class Spool:
    """A spool directory, writers on it, and all that can be read from it."""

    def __init__(self, path):
        self.path = path
        self.printed = []
        self.now = None
        self.opened = []

    def writer(self, **options):
        options.setdefault("last_resort", lambda reason, payload: self.printed.append(payload))
        options.setdefault("clock", lambda: self.now or time.time_ns())
        made = Writer(self.path, head=numbering, state=state, new_instance=new_entity_id, **options)
        self.opened.append(made)
        return made

    def documents(self, instance=None):
        """Every document, by instance and number."""
        found = []
        for each in instances(self.path):
            if instance in (None, each.id):
                items = [item for _, item in records(self.path, each) if isinstance(item, Record)]
                found += [json.loads(item.payload) for item in sorted(items, key=lambda item: item.sequence)]
        return found

    def said(self, instance=None):
        """What the application said, without state events."""
        return [each["n"] for each in self.documents(instance) if "n" in each]

    def states(self, action):
        return [each["facts"] for each in self.documents() if each.get("action") == action]


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path / "home" / "spool")
    yield made
    for writer in made.opened:
        writer.close(time.time_ns())


@pytest.fixture
def say(spool):
    def say(writer, n, priority=False, ns=None, pad=0):
        """Append number ``n``; ``ns`` is what the event and the writer's clock say."""
        spool.now = ns
        writer.append(priority, ns or time.time_ns(), b'"n":%d,"pad":"%s"}' % (n, b"x" * pad))

    return say
