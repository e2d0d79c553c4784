"""What waits for the disk: within bounds, tried again, and counted where it is lost."""

import threading
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.settings import load
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web import faults
from clusterlog.web.intake.events import Strangers
from clusterlog.web.intake.fates import Intake, Judged
from clusterlog.web.syslog import inbox as module
from clusterlog.web.syslog.framing import Frame
from clusterlog.web.syslog.inbox import Inbox


@dataclass
class Disk:
    """Takes what it is told to take."""

    answers: list = field(default_factory=list)
    otherwise: object = "created"
    taken: list = field(default_factory=list)
    may: threading.Event = field(default_factory=threading.Event)

    def take(self, items, peer):
        self.may.wait(30)
        answer = self.answers.pop(0) if self.answers else self.otherwise
        if isinstance(answer, Exception):
            raise answer
        if answer == "created":
            self.taken += [(peer, each.document) for each in items]
        return [Judged(each, None, answer) for each in items]


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    made = Disk()
    made.may.set()
    return made


def frames(*texts, whole=True):
    return [Frame(each, whole) for each in texts]


def begun(disk, *puts):
    inbox = Inbox(disk)
    for peer, each in puts:
        inbox.put(peer, each)
    inbox.begin()
    return inbox


def test_what_cannot_be_stored_now_is_stored_later(disk):
    disk.answers = [StoreUnavailable("disk"), "full", "busy", "created"]
    inbox = begun(disk, ("p", frames(b"one", b"two")))
    while inbox.stored < 2:
        threading.Event().wait(0.01)
    inbox.end()
    assert len(disk.taken) == 2 and not +inbox.counts


def test_what_cannot_be_stored_when_it_ends_is_counted(disk):
    disk.otherwise = StoreUnavailable("disk")
    inbox = begun(disk, ("p", frames(b"one", b"two")))
    inbox.end()
    assert inbox.counts["not_stored"] == 2 and not disk.taken


def test_what_waits_when_it_ends_is_stored_by_whom_it_came_from(disk):
    inbox = begun(disk, ("a", frames(b"one")), ("b", frames(b"two")), ("a", frames(b"three")))
    inbox.end()
    assert sorted(peer for peer, _ in disk.taken) == ["a", "a", "b"] and inbox.stored == 3


def test_a_failure_that_nobody_foresaw_is_counted_and_ends_nothing(disk, monkeypatch, capsys):
    monkeypatch.setattr(faults, "_complained", set())
    disk.answers = [RuntimeError("odd")]
    inbox = begun(disk, ("p", frames(b"one")))
    while not inbox.counts["refused"]:
        threading.Event().wait(0.01)
    inbox.put("p", frames(b"two"))
    inbox.end()
    assert inbox.stored == 1 and "odd" in capsys.readouterr().err


def test_it_is_full_until_what_waits_is_stored_and_says_when_there_is_room(disk):
    disk.may.clear()
    room = threading.Event()
    inbox = Inbox(disk)
    inbox.on_room = room.set
    inbox.begin()
    while not inbox.is_full:
        inbox.put("p", frames(b"x" * (1 << 20)))
    assert not room.is_set()
    disk.may.set()
    assert room.wait(30) and not inbox.is_full
    inbox.end()


def test_what_is_cut_is_counted_and_empty_messages_are_nothing(disk):
    inbox = begun(disk, ("p", frames(b"half", whole=False)), ("p", frames(b"", b" ")))
    inbox.end()
    assert inbox.counts["cut"] == 1 and inbox.stored == 1


def test_what_came_is_counted_and_of_how_much_only_the_text_could_be_kept(disk):
    read = (b"<13>1 - - - - - - text", b'<13>1 - - - - - - {"a":1}', b"<13>Nov  3 12:00:00 h app: text")
    odd = (b"no head", b'<13>1 - - - - - - {"a":', b'{"a":1}', b"<999>1 - - - - - - text")
    inbox = begun(disk, ("p", frames(*read, *odd, b" ")))
    inbox.end()
    assert (inbox.received, inbox.stored, inbox.unparsed) == (7, 7, 4)


def test_an_event_that_is_there_already_is_no_loss(tmp_path):
    body = b'<13>1 - - - - - - {"@timestamp":"2026-11-03T12:00:00Z","event":{"id":"a-1","dataset":"clusterlog.app"}}'
    with closing(EmbeddedStore.open(tmp_path / "store", "write")) as store:
        inbox = Inbox(Intake(store, Strangers(load({"home": str(tmp_path)}, environ={}), format="syslog")))
        inbox.put("p", frames(body, body))
        inbox.begin()
        inbox.end()
    assert inbox.stored == 1 and inbox.counts["known"] == 1
