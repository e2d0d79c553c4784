"""Requests that say more than others: by rules about them, and by the signed token of their caller."""

import asyncio
import gc
import logging
import pickle
import sys
import time

import pytest

from clusterlog.context import request as context
from clusterlog.context.carrier import BAGGAGE, DEBUG, admit, extract, inject, outgoing
from clusterlog.context.crossing import carry
from clusterlog.context.peers import parse_propagate_to, parse_trust
from clusterlog.context.request import Request, Scope
from clusterlog.control.applying.levels import InForce
from clusterlog.control.applying.token import LIFE_S, Grant, Tokens
from clusterlog.control.rules.effective import Levels, Policy
from clusterlog.control.rules.rule import Limits, Predicate, Rule, Selector
from clusterlog.control.signing.keys import Key
from clusterlog.integrations.access import Access
from clusterlog.integrations.admission import admitted, routed
from clusterlog.integrations.frameworks import asgi, wsgi
from clusterlog.record.logger import BoundLogger, get_logger
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import Logger, RecordHandler

LOW, INFO, WARNING = logging.DEBUG, logging.INFO, logging.WARNING
KEY = Key(b"k" * 32)
ID = "0198f0c2a7b47c6e9a3d2f1e5b8c4d60"


def request(id=ID):
    return Request(id, "ab" * 16, "cd" * 8)


def about(logger="orders", level=LOW, selector=None, limits=None, **predicate):
    selector, limits = selector or Selector(), limits or Limits()
    return Levels((Rule("r", logger, level, predicate=Predicate(**predicate), selector=selector, limits=limits),))


@pytest.fixture
def in_force():
    made = InForce(Tokens((KEY,), "test"), lambda user: f"hash of {user}")
    yield made
    made.restore()


@pytest.fixture(params=["native", "standard", "ours"])
def debug(request, road):
    """``debug`` of a logger of each kind, below ``orders``."""
    logging.root.setLevel(INFO)
    logging.root.addHandler(RecordHandler())
    if request.param == "ours":
        logging.setLoggerClass(Logger)
    try:
        logger = logging.getLogger(f"orders.{request.param}")
    finally:
        logging.setLoggerClass(logging.Logger)
    return get_logger(logger.name).debug if request.param == "native" else logger.debug


def test_a_rule_about_a_request_lets_it_alone_say_more_cp_04(in_force, road, debug):
    in_force.apply(about(request=ID))
    debug("outside of any")
    context.enter(request("another"))
    debug("another")
    context.enter(request())
    debug("the one")
    logging.getLogger("shop.api").debug("of another logger")
    in_force.restore()
    debug("after the rule")
    assert road.words == ["the one"]


@pytest.mark.parametrize(
    ("predicate", "facts"),
    [({"user": "hash of alice"}, {"user": "alice"}), ({"tenant": "acme"}, {"tenant": "acme"})],
    ids=["user", "tenant"],
)
@pytest.mark.parametrize("told", ["annotate", "bind"])
def test_a_request_is_meant_as_soon_as_its_user_or_tenant_is_known_cp_04(in_force, road, debug, told, predicate, facts):
    in_force.apply(about(**predicate))
    context.enter(request())
    debug("nobody knows who it is")
    getattr(context, told)(**dict.fromkeys(facts, "somebody else"))
    debug("somebody else")
    getattr(context, told)(**facts)
    debug("the one")
    assert road.words == ["the one"]


def test_what_one_task_has_bound_counts_for_the_whole_request(in_force, road, debug):
    in_force.apply(about(user="hash of alice"))
    new = request()
    context.enter(new)
    before = context.current.get()
    debug("before")
    context.bind(user="alice")
    debug("bound")
    context.current.set(before)
    debug("in another task")
    in_force.apply(about(user="hash of alice"))
    debug("under a new document")
    assert road.words == ["bound", "in another task", "under a new document"]


def test_a_rule_about_a_route_counts_once_the_route_is_known_cp_04(in_force, road, debug):
    in_force.apply(about(route="/orders/*"))
    known = []
    new = request()
    routed(new, lambda: known[0] if known else "")
    access = Access(new, "GET", "/orders/7")
    debug("before routing")
    known.append("/orders/{id}")
    debug("after it")
    assert road.words == ["after it"]
    access.route = "/orders/{id}"
    access.tell()
    assert new.route == "/orders/{id}", "nothing of the framework's is kept when the request is over"


def test_a_request_that_is_under_way_when_the_rule_comes_is_meant_as_well(in_force, road, debug):
    context.enter(request())
    debug("before the rule")
    in_force.apply(about(request="another"))
    debug("a rule about another")
    in_force.apply(about(request=ID))
    debug("about this one")
    in_force.apply(about(request="another"))
    debug("about another again")
    assert road.words == ["about this one"]


def test_is_enabled_for_tells_what_would_be_said(in_force):
    logging.root.setLevel(INFO)
    logger = logging.getLogger("orders")
    in_force.apply(about(request=ID))
    assert not logger.isEnabledFor(LOW)
    context.enter(request())
    assert logger.isEnabledFor(LOW)
    assert get_logger("orders").isEnabledFor(LOW)
    logger.disabled = True
    assert not logger.isEnabledFor(LOW)
    logger.disabled = False
    logging.disable(INFO)
    assert not logger.isEnabledFor(LOW)


def methods():
    ours = [vars(kind)[name].__code__ for kind in (BoundLogger, Logger) for name in ("debug", "info", "error")]
    return [logging.Logger.isEnabledFor, *ours]


def test_nothing_is_exchanged_while_no_rule_is_about_requests(in_force, road):
    before = methods()
    in_force.apply(Levels((Rule("r", "orders", LOW),)))
    assert methods() == before
    in_force.apply(about(request=ID))
    assert all(one is not other for one, other in zip(methods(), before, strict=True))
    assert slot.road is not road, "the guard"
    in_force.apply(Levels())
    assert methods() == before
    assert slot.road is road


def test_the_nodes_own_ceiling_holds_for_requests_too(in_force, road, debug):
    levels = about(request=ID)
    in_force.apply(Levels(levels.rules, policy=Policy((("", INFO),))))
    context.enter(request())
    debug("above the ceiling")
    assert road.words == []


def test_the_line_of_a_caller_is_found_where_it_was_said(in_force, road):
    logging.root.setLevel(INFO)
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.root.addHandler(handler)
    logging.setLoggerClass(Logger)
    try:
        logger = logging.getLogger("orders.found")
    finally:
        logging.setLoggerClass(logging.Logger)
    in_force.apply(about(request=ID))
    context.enter(request())
    logger.debug("escalated")
    logger.info("enabled")
    assert {record.funcName for record in records} == {sys._getframe().f_code.co_name}


class TestToken:
    """CP-05: DEBUG follows the request across services."""

    def sent(self, in_force, levels=None, id=ID):
        """The headers of a call from inside of an escalated request."""
        in_force.apply(about(request=ID) if levels is None else levels)
        context.enter(request(id))
        headers = inject({})
        context.leave()
        in_force.apply(Levels())
        return headers

    def test_a_service_that_no_rule_has_reached_yet_says_what_the_token_grants_cp_05(self, in_force, road, debug):
        headers = self.sent(in_force)
        with extract(headers):
            debug("granted")
            logging.getLogger("shop").debug("of another logger")
            again = inject({})
        debug("outside of it")
        with extract(again):
            debug("passed on")
        assert road.words == ["granted", "passed on"]

    def test_baggage_alone_brings_it_too_among_what_others_put_there_cp_05(self, in_force, road, debug):
        headers = self.sent(in_force)
        headers[BAGGAGE] = f"tenant=acme, {headers[BAGGAGE]};prop=1,other=2"
        del headers[DEBUG]
        with extract(headers):
            debug("granted")
        assert road.words == ["granted"]

    def test_what_somebody_else_put_into_baggage_stays(self, in_force, road):
        in_force.apply(about(request=ID))
        context.enter(request())
        headers = inject({BAGGAGE: "theirs=1"})
        assert headers[BAGGAGE] == "theirs=1"
        assert DEBUG in headers

    def test_requests_that_nobody_means_send_none(self, in_force, road):
        assert not {DEBUG, BAGGAGE} & set(self.sent(in_force, id="another"))

    def test_a_rule_with_a_selector_stays_where_it_is_meant(self, in_force, road):
        assert DEBUG not in self.sent(in_force, about(request=ID, selector=Selector(percent=100.0)))

    def test_only_a_peer_who_is_believed_may_bring_it(self, in_force, road, debug):
        headers = {name.lower(): [value] for name, value in self.sent(in_force).items()}
        private = parse_trust("private")
        for peer, allowed in (("203.0.113.9", False), ("10.0.0.7", True)):
            context.enter(admit(lambda name: headers.get(name, ()), peer, private))
            debug(f"from {peer}: {allowed}")
        assert road.words == ["from 10.0.0.7: True"]
        assert in_force._requests._tokens.refused == 0, "of others it is not even looked at"

    def test_servers_hand_it_over(self, in_force, road, debug):
        headers = {name.lower(): [value] for name, value in self.sent(in_force).items()}
        context.enter(admitted(headers, "127.0.0.1"))
        debug("granted")
        assert road.words == ["granted"]

    @pytest.mark.parametrize("header", [DEBUG, BAGGAGE])
    @pytest.mark.parametrize("kind", ["asgi", "wsgi"])
    def test_it_comes_in_by_either_header_of_a_served_request_cp_05(self, in_force, road, debug, kind, header):
        headers = self.sent(in_force)
        sent = {"X-Request-ID": ID, header: headers[header]}
        if kind == "asgi":
            asyncio.run(_served_by_asgi(sent, debug))
        else:
            _served_by_wsgi(sent, debug)
        assert road.words == ["granted"]

    def test_it_goes_out_only_to_hosts_that_may_know_our_ids(self, in_force, road):
        in_force.apply(about(request=ID))
        context.enter(request())
        private = parse_propagate_to("private")
        assert {DEBUG, BAGGAGE} <= dict(outgoing("orders.internal", private, ())).keys()
        assert outgoing("api.example.com", private, ()) == []

    def test_it_crosses_into_another_process_of_a_pool(self, in_force, road, debug):
        in_force.apply(about(request=ID))
        context.enter(request())
        job = pickle.dumps(carry(print))
        context.leave()
        in_force.apply(Levels())
        context.current.set(pickle.loads(job).scope)
        debug("granted")
        assert road.words == ["granted"]

    @pytest.mark.parametrize("spoilt", ["request", "signature", "payload", "key", "cluster", "garbage", "long", "late"])
    def test_what_is_not_signed_for_this_very_request_is_no_token(self, in_force, road, debug, spoilt):
        headers = self.sent(in_force)
        key, payload, signature = headers[DEBUG].split(".")
        grant = Grant(ID, "r", "orders", LOW, 100, time.time() + LIFE_S)
        changed = {
            "signature": f"{key}.{payload}.{signature[::-1]}",
            "payload": f"{key}.{payload[:-4]}AAAA.{signature}",
            "key": Tokens((Key(b"x" * 32),), "test").made((grant,)),
            "cluster": Tokens((KEY,), "other").made((grant,)),
            "garbage": "\0\u00e9;,",
            "long": headers[DEBUG] + "A" * 5000,
            "late": Tokens((KEY,), "test").made((Grant(ID, "r", "orders", LOW, 100, 1.0),)),
        }
        headers = {**headers, DEBUG: changed.get(spoilt, headers[DEBUG])}
        if spoilt == "request":
            headers["X-Request-ID"] = "another"
        with extract(headers):
            debug("granted")
            assert DEBUG not in inject({})
        assert road.words == []

    def test_its_lines_are_counted_and_no_more_than_granted_are_said(self, in_force, road, debug):
        headers = self.sent(in_force, about(request=ID, limits=Limits(lines=3)))
        with extract(headers):
            for n in range(9):
                debug(f"line {n}")
        assert road.words == ["line 0", "line 1", "line 2"]

    def test_it_ends_by_itself_and_so_does_the_looking(self, road):
        now = [1000.0]
        tokens = Tokens((KEY,), "test", lambda: 5000.0)
        in_force = InForce(tokens)
        in_force._requests._clock = lambda: now[0]
        in_force._requests._wall = lambda: 5000.0
        before = methods()
        in_force.apply(Levels())
        logging.root.setLevel(INFO)
        try:
            token = tokens.made((Grant(ID, "r", "orders", LOW, 100, 5000.0 + 2 * LIFE_S),))
            with extract({"X-Request-ID": ID, DEBUG: token}):
                get_logger("orders").debug("in time")
                now[0] += LIFE_S + 1
                get_logger("orders").debug("too late")
            in_force.drifted()
            assert methods() == before
            assert road.words == ["in time"]
        finally:
            in_force.restore()

    def test_a_long_request_sends_a_new_one_when_half_its_life_is_over(self, in_force, road):
        now = [0.0]
        in_force._requests._clock = in_force._requests._wall = lambda: 1000.0 + now[0]
        in_force.apply(about(request=ID))
        context.enter(request())
        first = inject({})[DEBUG]
        assert inject({})[DEBUG] == first
        now[0] = LIFE_S
        assert inject({})[DEBUG] != first

    def test_ten_thousand_forged_ones_cost_no_memory_and_say_nothing_f28(self, in_force, road):
        logging.root.setLevel(INFO)
        debug = get_logger("orders").debug
        genuine = self.sent(in_force)[DEBUG]
        key, payload, _ = genuine.split(".")
        tokens = in_force._requests._tokens

        def flood(count):
            for n in range(count):
                with extract({"X-Request-ID": ID, DEBUG: f"{key}.{payload}.{n:043d}"}):
                    debug("forged")

        flood(200)
        gc.collect()
        before = sys.getallocatedblocks()
        flood(10_000)
        gc.collect()
        assert sys.getallocatedblocks() - before < 1000
        assert road.words == []
        assert tokens.refused == 10_200
        assert methods()[0] is logging.Logger.isEnabledFor, "nothing was armed"

    def test_without_a_key_nothing_is_sent_and_nothing_believed(self, in_force, road, debug):
        headers = self.sent(in_force)
        in_force.restore()
        keyless = InForce()
        keyless.apply(Levels())
        try:
            with extract(headers):
                debug("granted")
                assert DEBUG not in inject({})
        finally:
            keyless.restore()
        assert road.words == []


def _served_by_wsgi(headers, say):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "127.0.0.1"}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}

    def app(environ, start_response):
        say("granted")
        start_response("200 OK", [])
        return [b""]

    body = wsgi.serve(app, environ, lambda status, headers, exc_info=None: lambda data: None)
    assert b"".join(body) == b""
    body.close()


async def _served_by_asgi(headers, say):
    scope = {"type": "http", "method": "GET", "path": "/", "client": ("127.0.0.1", 1)}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def app(scope, receive, send):
        say("granted")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        pass

    await asgi.serve(app, scope, receive, send)


def test_a_scope_of_no_request_is_never_asked_again(in_force, road, debug):
    in_force.apply(about(request=ID))
    scope = Scope(None)
    context.current.set(scope)
    debug("nobody")
    assert scope.spared is not None
