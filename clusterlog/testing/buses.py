"""What every bus must do, as tests: subclass ``BusContract`` in a test module and say where the bus is."""

# ruff: noqa: D102 - a test's name is its sentence

from __future__ import annotations

import os
import resource
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from clusterlog.control.bus.base import MOST_MESSAGE, Bus, Changed, Gap, Link, Message, Notice
from clusterlog.errors import BusUnreachable, Conflict, Rejected, SettingError
from clusterlog.testing.children import in_a_child, in_the_background

PATIENCE_S = 60.0
"""How long a test waits for what must come: machines that build are slow at times."""

ODD_BYTES = (b"", b"\0", b"\r\n$-1\r\n", bytes(range(256)), "löyly ☃".encode(), b'{"a": "\\u0000"}')


def until(link: Link, enough: Callable[[list[Notice]], bool]) -> list[Notice]:
    """All that comes, until it is enough."""
    end = time.monotonic() + PATIENCE_S
    come: list[Notice] = []
    while not enough(come):
        assert time.monotonic() < end, f"only this has come: {come}"
        come += link.wait(1.0)
    return come


def messages(notices: list[Notice]) -> list[bytes]:
    """What the messages among some notices say."""
    return [each.body for each in notices if isinstance(each, Message)]


def subscribed(link: Link) -> Link:
    """A link that has said the gap which every subscription begins with."""
    until(link, lambda come: Gap() in come)
    return link


def heard(link: Link, count: int) -> list[bytes]:
    """The next ``count`` messages."""
    return messages(until(link, lambda come: len(messages(come)) >= count))


def changed(link: Link, document: bytes) -> None:
    """Wait until the link is told of a change, and ``document`` is what is there; what came along is never wrong."""
    end = time.monotonic() + PATIENCE_S
    while True:
        for notice in link.wait(1.0):
            if isinstance(notice, Changed) and notice.document in (None, document) and link.read().document == document:
                return
        assert time.monotonic() < end, "it was not told of the change"


class BusContract:
    """Subclass it as ``TestMyBus`` and implement ``bus``; every test here must then pass.

    A bus within one process says ``test_a_forked_child_opens_a_link_of_its_own = None``.
    """

    rounds = 500
    """Changes that each of two operators makes at the same time as the other."""

    def bus(self, cluster: str) -> Bus:
        """The bus in the name space ``cluster``, which nobody used before; the same name is the same bus."""
        raise NotImplementedError

    @pytest.fixture
    def cluster(self) -> str:
        """A name space of its own for each test."""
        return f"t{secrets.token_hex(6)}"

    @pytest.fixture
    def open_link(self, cluster: str) -> Iterator[Callable[[], Link]]:
        """Opens links that are closed with the test."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(self.bus(cluster).open()))

    @pytest.fixture
    def link(self, open_link: Callable[[], Link]) -> Link:
        """A link to an empty bus, subscribed."""
        return subscribed(open_link())

    @pytest.fixture
    def other(self, link: Link, open_link: Callable[[], Link]) -> Link:
        """Another link to the same bus, subscribed."""
        return subscribed(open_link())

    # the document

    def test_a_bus_that_nobody_wrote_to_has_no_document_and_tells_the_time(self, link: Link) -> None:
        assert link.read().document is None
        assert link.read().now_ns > 0

    def test_the_clock_of_the_bus_goes_on_and_is_the_same_for_all(self, link: Link, other: Link) -> None:
        first = link.read().now_ns
        second = other.read().now_ns
        time.sleep(0.05)
        assert first <= second
        assert link.read().now_ns - second >= 40_000_000

    @pytest.mark.parametrize("document", ODD_BYTES[1:])
    def test_a_document_is_kept_as_it_was_written(self, link: Link, other: Link, document: bytes) -> None:
        link.write(document, None)
        assert link.read().document == other.read().document == document

    def test_a_document_of_the_largest_size_is_kept_and_everybody_is_told(self, link: Link, other: Link) -> None:
        document = secrets.token_bytes(32 << 10)
        link.write(document, None)
        changed(other, document)

    def test_what_was_kept_is_replaced_only_by_who_knows_it(self, link: Link, other: Link) -> None:
        link.write(b"one", None)
        with pytest.raises(Conflict):
            other.write(b"two", None)
        with pytest.raises(Conflict):
            other.write(b"two", b"another")
        assert link.read().document == b"one"
        other.write(b"two", b"one")
        with pytest.raises(Conflict):
            link.write(b"three", b"one")
        assert link.read().document == b"two"

    def test_what_was_never_there_is_not_replaced(self, link: Link) -> None:
        with pytest.raises(Conflict):
            link.write(b"two", b"one")
        assert link.read().document is None

    def test_a_link_goes_on_after_a_conflict(self, link: Link) -> None:
        with pytest.raises(Conflict):
            link.write(b"two", b"one")
        link.write(b"one", None)
        changed(link, b"one")

    def test_everybody_is_told_of_a_change_whoever_made_it_included(self, link: Link, other: Link) -> None:
        link.write(b"one", None)
        changed(other, b"one")
        changed(link, b"one")
        other.write(b"two", b"one")
        changed(link, b"two")
        changed(other, b"two")

    def test_a_change_that_was_refused_is_told_to_nobody(self, link: Link, other: Link) -> None:
        with pytest.raises(Conflict):
            link.write(b"two", b"one")
        link.send(b"after it")
        assert until(other, lambda come: Message(b"after it") in come) == [Message(b"after it")]

    def test_of_many_changes_the_last_is_never_missed(self, link: Link, other: Link) -> None:
        before = None
        for each in range(50):
            after = b"%d" % each
            link.write(after, before)
            before = after
        changed(other, b"49")

    def test_two_operators_at_once_lose_no_change(self, open_link: Callable[[], Link]) -> None:
        """Each adds one to a number, again and again."""
        links = [open_link(), open_link()]
        links[0].write(b"0", None)
        failures: list[BaseException] = []

        def count(link: Link) -> None:
            left = self.rounds
            try:
                while left:
                    known = link.read().document
                    assert known is not None
                    try:
                        link.write(b"%d" % (int(known) + 1), known)
                        left -= 1
                    except Conflict:
                        pass
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=count, args=(each,)) for each in links]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert links[0].read().document == links[1].read().document == b"%d" % (2 * self.rounds)

    # leases

    @pytest.mark.parametrize("body", ODD_BYTES)
    def test_a_lease_is_seen_by_everybody(self, link: Link, other: Link, body: bytes) -> None:
        link.lease("shop/shop-1", body, 30.0, "e/1")
        for each in (link, other):
            (lease,) = each.leases()
            assert (lease.key, lease.body, lease.ttl_s) == ("shop/shop-1", body, 30.0)
            assert 0 <= lease.age_s < PATIENCE_S

    @pytest.mark.parametrize("key", ["shop/löyly@host 7", "a:b/c*d?e[f]", "x" * 400, "", "*"])
    def test_a_key_may_be_any_text(self, link: Link, key: str) -> None:
        link.lease(key, b"body", 30.0, "e/1")
        assert [lease.key for lease in link.leases()] == [key]
        assert link.leased("e/1") == 1
        link.release(key)
        assert link.leases() == ()

    def test_what_is_said_again_replaces_what_was_said(self, link: Link, other: Link) -> None:
        link.lease("a", b"old", 30.0, "e/1")
        time.sleep(0.05)
        age = other.leases()[0].age_s
        link.lease("a", b"new", 20.0, "e/1")
        (lease,) = other.leases()
        assert (lease.body, lease.ttl_s) == (b"new", 20.0)
        assert age >= 0.04
        assert other.leased("e/1") == 1

    def test_a_lease_counts_under_the_version_it_said_last_and_no_other(self, link: Link, other: Link) -> None:
        assert link.leased("e/1") == 0
        link.lease("a", b"", 30.0, "e/1")
        other.lease("b", b"", 30.0, "e/1")
        assert (link.leased("e/1"), link.leased("e/2")) == (2, 0)
        link.lease("a", b"", 30.0, "e/2")
        assert (other.leased("e/1"), other.leased("e/2"), other.leased("e/10")) == (1, 1, 0)

    def test_a_released_lease_is_gone(self, link: Link, other: Link) -> None:
        link.lease("a", b"", 30.0, "e/1")
        link.lease("b", b"", 30.0, "e/1")
        other.release("a")
        other.release("nobody's")
        assert [lease.key for lease in link.leases()] == ["b"]
        assert link.leased("e/1") == 1

    def test_a_lease_that_ran_out_does_not_count_and_is_still_told_of(self, link: Link, other: Link) -> None:
        link.lease("a", b"last words", 0.2, "e/1")
        link.lease("b", b"", 30.0, "e/1")
        end = time.monotonic() + PATIENCE_S
        while other.leased("e/1") > 1:
            assert time.monotonic() < end
            time.sleep(0.02)
        found = {lease.key: lease for lease in other.leases()}
        assert set(found) == {"a", "b"}
        assert found["a"].body == b"last words"
        assert found["a"].age_s >= found["a"].ttl_s

    def test_leases_stay_when_their_link_is_closed(self, cluster: str, link: Link) -> None:
        with closing(self.bus(cluster).open()) as gone:
            gone.lease("a", b"", 30.0, "e/1")
        assert link.leased("e/1") == 1

    def test_leases_wake_nobody(self, link: Link, other: Link) -> None:
        for each in range(20):
            link.lease(f"{each}", b"", 30.0, "e/1")
        link.release("1")
        link.send(b"after them")
        assert until(other, bool) == [Message(b"after them")]

    def test_a_thousand_leases_are_told_of_whole(self, link: Link, other: Link) -> None:
        body = secrets.token_bytes(700)
        for each in range(1000):
            link.lease(f"shop/shop-{each}@host", body, 60.0, "e/7")
        assert other.leased("e/7") == 1000
        found = other.leases()
        assert {lease.key for lease in found} == {f"shop/shop-{each}@host" for each in range(1000)}
        assert {lease.body for lease in found} == {body}

    # messages

    def test_every_subscription_begins_with_a_gap_and_says_it_once(self, open_link: Callable[[], Link]) -> None:
        link = open_link()
        assert until(link, lambda come: Gap() in come) == [Gap()]
        link.send(b"after it")
        assert until(link, lambda come: Message(b"after it") in come) == [Message(b"after it")]

    @pytest.mark.parametrize("body", ODD_BYTES)
    def test_a_message_reaches_everybody_its_sender_included(self, link: Link, other: Link, body: bytes) -> None:
        link.send(body)
        assert heard(other, 1) == heard(link, 1) == [body]

    def test_messages_of_one_sender_stay_in_their_order(self, link: Link, open_link: Callable[[], Link]) -> None:
        senders = [open_link(), open_link(), open_link()]
        threads = [
            threading.Thread(target=lambda n, sender: [sender.send(b"%d %d" % (n, i)) for i in range(100)], args=pair)
            for pair in enumerate(senders)
        ]
        for thread in threads:
            thread.start()
        come = heard(link, 300)
        for thread in threads:
            thread.join()
        for n in range(3):
            assert [body for body in come if body.startswith(b"%d " % n)] == [b"%d %d" % (n, i) for i in range(100)]

    def test_what_was_sent_before_one_listened_is_not_heard(self, link: Link, open_link: Callable[[], Link]) -> None:
        link.send(b"early")
        heard(link, 1)
        late = subscribed(open_link())
        link.send(b"late")
        assert heard(late, 1) == [b"late"]

    def test_what_was_sent_after_opening_and_before_the_first_wait_is_heard(
        self, link: Link, open_link: Callable[[], Link]
    ) -> None:
        opened = open_link()
        link.send(b"between")
        assert heard(opened, 1) == [b"between"]

    def test_the_largest_message_arrives_and_a_larger_one_is_refused(self, link: Link, other: Link) -> None:
        body = secrets.token_bytes(MOST_MESSAGE)
        link.send(body)
        assert heard(other, 1) == [body]
        with pytest.raises(Rejected) as refused:
            link.send(body + b"!")
        assert refused.value.reason == "size"
        link.send(b"small")
        assert heard(other, 1) == [b"small"]

    def test_messages_that_wait_for_nobody_do_not_hinder_their_sender(self, link: Link, other: Link) -> None:
        for each in range(300):
            link.send(b"%d" % each)
        assert heard(other, 300) == [b"%d" % each for each in range(300)]

    # name spaces

    def test_name_spaces_do_not_meet(self, cluster: str, link: Link) -> None:
        with closing(self.bus(f"{cluster}x").open()) as stranger:
            subscribed(stranger)
            link.write(b"document", None)
            link.lease("a", b"", 30.0, "e/1")
            link.send(b"message")
            changed(link, b"document")
            stranger.send(b"of its own")
            assert until(stranger, bool) == [Message(b"of its own")]
            assert stranger.read().document is None
            assert stranger.leases() == ()
            assert stranger.leased("e/1") == 0

    @pytest.mark.parametrize("cluster", ["a b", "per:cent%{x}", "Löyly", "*", "x" * 128, "quote'\"\\"])
    def test_a_name_space_may_be_any_name(self, cluster: str) -> None:
        with closing(self.bus(cluster).open()) as link:
            subscribed(link)
            document = secrets.token_bytes(8)
            link.write(document, link.read().document)
            changed(link, document)
            link.lease("a", b"", 30.0, document.hex())
            assert link.leased(document.hex()) == 1

    # waiting

    def test_a_wait_in_which_nothing_comes_ends_empty(self, link: Link) -> None:
        assert link.wait(0.0) == ()
        assert link.wait(0.05) == ()

    def test_a_wait_without_time_fetches_what_has_come(self, link: Link) -> None:
        link.send(b"come")
        end = time.monotonic() + PATIENCE_S
        while not (come := link.wait(0.0)):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert come == (Message(b"come"),)

    def test_another_thread_can_end_a_wait(self, link: Link) -> None:
        waiting = threading.Event()
        ended = threading.Event()

        def wake() -> None:
            waiting.wait(PATIENCE_S)
            while not ended.wait(0.05):
                link.wake()

        thread = threading.Thread(target=wake)
        thread.start()
        waiting.set()
        begin = time.monotonic()
        assert link.wait(PATIENCE_S * 10) == ()
        ended.set()
        thread.join()
        assert time.monotonic() - begin < PATIENCE_S * 5

    def test_a_wake_before_the_wait_ends_it_too_and_only_that(self, link: Link) -> None:
        link.wake()
        link.wake()
        assert link.wait(PATIENCE_S * 10) == ()
        link.send(b"come")
        assert heard(link, 1) == [b"come"]

    # the life of a link

    def test_a_closed_link_can_be_closed_and_woken_again_and_nothing_else(self, cluster: str) -> None:
        link = self.bus(cluster).open()
        link.close()
        link.close()
        link.wake()
        calls: list[Callable[[], object]] = [
            link.read,
            link.leases,
            lambda: link.write(b"one", None),
            lambda: link.lease("a", b"", 30.0, "e/1"),
            lambda: link.release("a"),
            lambda: link.leased("e/1"),
            lambda: link.send(b""),
            lambda: link.wait(0.0),
        ]
        for call in calls:
            with pytest.raises(BusUnreachable):
                call()

    def test_links_leave_no_thread_and_no_descriptor(self, cluster: str, link: Link) -> None:
        with closing(self.bus(cluster).open()) as first:  # what is made once
            subscribed(first)
        threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with closing(self.bus(cluster).open()) as each:
                subscribed(each)
                each.send(b"")
                assert threading.active_count() == threads
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors

    def test_a_process_without_a_descriptor_left_is_told_so_and_holds_none(self, cluster: str, link: Link) -> None:
        with closing(self.bus(cluster).open()) as first:  # what is made once
            subscribed(first)

        def refused() -> bool:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            before = len(os.listdir("/proc/self/fd"))
            for spare in range(1, 8):  # whichever it is that cannot be had
                held = {int(each) for each in os.listdir("/proc/self/fd")}
                lowest = next(each for each in range(len(held) + 1) if each not in held)
                taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(max(held) + 1 - lowest)]
                try:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (max(held | set(taken)) + spare, most))
                    self.bus(cluster).open().close()
                except (BusUnreachable, SettingError):  # the latter where it is a file that cannot be read
                    pass
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
                    for each in taken:
                        os.close(each)
            return len(os.listdir("/proc/self/fd")) == before

        assert in_a_child(refused)

    def test_a_link_is_of_no_use_in_a_forked_child_and_goes_on_in_its_parent(self, link: Link, other: Link) -> None:
        link.send(b"before")
        heard(link, 1)

        def refused() -> bool:
            try:
                link.send(b"from the child")
            except BusUnreachable:
                link.wake()
                link.close()
                return True
            return False

        assert in_a_child(refused)
        other.send(b"from the parent")
        assert heard(link, 1) == [b"from the parent"]
        link.write(b"after", None)
        changed(other, b"after")

    def test_a_forked_child_opens_a_link_of_its_own(self, cluster: str, link: Link) -> None:
        link.write(b"document", None)

        def answered() -> bool:
            with closing(self.bus(cluster).open()) as own:
                subscribed(own)
                own.send(b"ready")
                return heard(own, 2) == [b"ready", b"go"] and own.read().document == b"document"

        with in_the_background(answered) as result:
            assert heard(link, 1) == [b"ready"]
            link.send(b"go")
            assert result()

    def test_the_name_is_for_people_and_without_credentials(self, cluster: str) -> None:
        bus = self.bus(cluster)
        assert bus.name
        assert "@" not in bus.name
        assert "password" not in bus.name
