"""Where the messages of a process meet: from its clients to the bus, and from the bus to who subscribes.

Three kinds of threads come here. Any of the application sends, asks and subscribes. The one that speaks to the bus
brings what has come (``receive``), and takes what is to go (``outbox``). One of ours calls the application's functions.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from typing import Any

from clusterlog.control.bus.base import Gap, Message
from clusterlog.control.members import Node
from clusterlog.control.messages.client import Client, Sent
from clusterlog.control.messages.envelope import Envelope, Kind, Sender, read, sealed
from clusterlog.control.messages.gathering import Question, Replies
from clusterlog.control.messages.handlers import Handlers, Subscription, Trouble
from clusterlog.control.messages.outbox import Outbox
from clusterlog.control.messages.sequences import Sequences
from clusterlog.control.rules.rule import Member, Selector
from clusterlog.control.rules.selecting import meant
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

UNHEARD = "nobody subscribes to this topic there"


def _untold(_what: str, _error: BaseException) -> None:
    """Where nobody asked to be told of exceptions in subscribers, they are counted at the subscription alone."""


class Switchboard:
    """The messages of one process. Lives as long as it does: ``begin`` gives it what only a start or a fork knows."""

    def __init__(
        self,
        wake: Callable[[], None],
        nodes: Callable[[], Iterable[Node]],
        trouble: Trouble = _untold,
        outbox: Outbox | None = None,
    ) -> None:
        """``wake`` is called from any thread when something waits in ``outbox``; ``nodes`` are who is there now."""
        self._wake = wake
        self._nodes = nodes
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._subscriptions: dict[tuple[str, str], tuple[Subscription, ...]] = {}
        self._questions: dict[str, Question] = {}
        self._numbers: dict[str, int] = {}
        self._heard = Sequences()
        self._sealer: Sealer | None = None
        self._sender = Sender("")
        self._may_send = False
        self.handlers = Handlers(self._answer, trouble)
        self.outbox = outbox or Outbox()
        self.faults: dict[str, int] = {}

    def begin(self, sender: Sender, sealer: Sealer, may_send: bool = True) -> None:
        """From now on this process is ``sender``, whose role lets it send or not. Called anew in a forked child."""
        self._lock = threading.Lock()
        forked = bool(self._sender.instance) and self._sender.instance != sender.instance
        self._sender, self._sealer, self._may_send = sender, sealer, may_send
        if forked:
            self._numbers, self._questions, self.faults = {}, {}, {}
            self._heard.clear()
            self.outbox.clear()
            self.handlers.forget()

    def client(self, functionality: str) -> Client:
        """The client of a functionality, made at first use and the same ever after."""
        with self._lock:
            return self._clients.setdefault(functionality, Client(functionality, self))

    def subscribe(
        self, functionality: str, topic: str, fn: Callable[..., Any], on_gap: Callable[[], Any] | None = None
    ) -> Subscription:
        """As ``Client.subscribe``."""
        for each in (fn, on_gap or fn):
            if not callable(each):
                raise TypeError(f"{each!r} cannot be called: subscribe takes functions")
        subscription = Subscription(functionality, topic, fn, on_gap)
        with self._lock:
            there = self._subscriptions.get((functionality, topic), ())
            kept = (each for each in there if each.active)
            self._subscriptions[functionality, topic] = (*kept, subscription)
        return subscription

    def send(self, functionality: str, topic: str, data: Any) -> Sent:
        """As ``Client.send``."""
        return self._put("event", functionality, topic, data)

    def request(self, functionality: str, topic: str, data: Any, asked: Selector, timeout_s: float) -> Replies:
        """As ``Client.request``."""
        until = time.monotonic() + timeout_s
        question = Question(secrets.token_hex(8))
        with self._lock:
            self._questions[question.id] = question
        try:
            sent = self._put("request", functionality, topic, data, id=question.id, selector=asked)
            # Beside: a bus that does not answer is not waited for longer than the caller wants.
            look = threading.Thread(target=self._find, args=(question, asked), name="clusterlog-asking", daemon=True)
            with suppress(RuntimeError):  # the interpreter is going down
                look.start()
            return question.gathered(until - time.monotonic() if sent else 0)
        finally:
            with self._lock:
                self._questions.pop(question.id, None)

    def receive(self, notice: Message | Gap) -> None:
        """Take what has come from the bus: a message for subscribers here, or word that some were missed.

        Never blocks and never raises; what is not to be believed is counted in ``faults``, by reason.
        """
        if isinstance(notice, Gap):
            self._gap(None)
            return
        try:
            if self._sealer is None:
                raise Rejected("the keys are not known yet", "early")
            envelope = read(notice.body, self._sealer)
        except Rejected as error:
            self._fault(error.reason)
            return
        if envelope.sender.instance == self._sender.instance:
            return
        heard = self._heard.heard((envelope.sender.instance, envelope.functionality), envelope.number)
        if heard == "again":
            self._fault("again")
            return
        if heard == "hole":
            self._gap(envelope.functionality)
        if envelope.kind == "reply":
            self._reply(envelope)
        else:
            self._hear(envelope, len(notice.body))

    def _hear(self, envelope: Envelope, size: int) -> None:
        if envelope.kind == "request" and not meant(envelope.selector, self._me()):
            return
        there = self._subscriptions.get((envelope.functionality, envelope.topic), ())
        active = [each for each in there if each.active]
        for number, subscription in enumerate(active):
            own = envelope if number == 0 else deepcopy(envelope)  # one may change what another is to hear
            self.handlers.message(subscription, own, size)
        if envelope.kind == "request" and not active:
            self._answer(envelope, None, UNHEARD)

    def _reply(self, envelope: Envelope) -> None:
        if envelope.to == self._sender.instance:
            with self._lock:
                question = self._questions.get(envelope.id)
            if question is not None:
                question.answered(envelope)

    def _answer(self, request: Envelope, data: Any, failed: str) -> None:
        tied: dict[str, Any] = {"id": request.id, "to": request.sender.instance}
        sent = self._put("reply", request.functionality, request.topic, data, failed=failed, **tied)
        if sent.reason in ("data", "size"):
            why = f"its answer cannot be sent: {sent.reason}"
            self._put("reply", request.functionality, request.topic, None, failed=why, **tied)

    def _put(self, kind: Kind, functionality: str, topic: str, data: Any, **more: Any) -> Sent:
        # A node that only hears may answer what it is asked.
        if self._sealer is None or (kind != "reply" and not self._may_send):
            return self._not_sent("role" if self._sealer else "early")
        with self._lock:  # numbers and the line are in one order
            number = self._numbers.get(functionality, 0) + 1
            envelope = Envelope(functionality, topic, self._sender, number, data, kind, **more)
            try:
                body = sealed(envelope, self._sealer)
            except Rejected as error:
                return self._not_sent(error.reason)
            self._numbers[functionality] = number  # also where there is no room: others see that something is missing
            if not self.outbox.put(body):
                return self._not_sent("full")
        self._wake()
        return Sent(True)

    def _not_sent(self, reason: str) -> Sent:
        self._fault(f"not-sent-{reason}")
        return Sent(False, reason)

    def _gap(self, functionality: str | None) -> None:
        for (name, _), subscriptions in list(self._subscriptions.items()):
            if functionality in (None, name):
                for each in subscriptions:
                    self.handlers.gap(each)

    def _fault(self, reason: str) -> None:
        self.faults[reason] = self.faults.get(reason, 0) + 1

    def _me(self) -> Member:
        return Member(self._sender.service, self._sender.node, "")

    def _find(self, question: Question, asked: Selector) -> None:
        with suppress(Exception):  # a bus that is away, for one: then nobody knows, which is what the answer says
            question.expect(self._expected(asked))

    def _expected(self, asked: Selector) -> dict[str, Sender]:
        return {
            worker.status.instance: Sender(worker.status.instance, node.node, node.service, worker.status.pid)
            for node in self._nodes()
            for worker in node.workers
            if worker.state in ("up", "late")
            and worker.status.instance != self._sender.instance
            and meant(asked, node.member(worker))
        }
