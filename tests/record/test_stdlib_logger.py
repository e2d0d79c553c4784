"""Our logger class does without a record where nobody misses it, and is otherwise the library's, call for call."""

from __future__ import annotations

import io
import logging
import sys
from collections import UserDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.record import stdlib
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import Logger, RecordHandler, Told, told

ROAD, RECORD = "straight", "by a record"
ERROR = ValueError("refused")


class Road:
    """Remembers lines; one that came by a record has its time."""

    def __init__(self):
        self.said = []
        self.ways = []

    def line(self, level, logger, event, args, fields, failure=None, stack=None, wall_ns=0):
        assert type(fields) is dict
        self.said.append((level, logger, event, args, dict(fields), failure, stack))
        self.ways.append(RECORD if wall_ns else ROAD)


class Seeing(logging.Handler):
    """Another handler, that remembers what it can see of records."""

    def __init__(self, level=logging.NOTSET):
        super().__init__(level)
        self.seen = []

    def emit(self, record):
        told = record.__dict__
        names = set(told) - {"created", "msecs", "relativeCreated", "thread", "threadName", "lineno"}
        seen = {name: told[name] for name in names}
        if isinstance(record.exc_info, tuple):  # whose traceback is another one each time
            seen["exc_info"] = record.exc_info[:2]
        self.seen.append(seen)


class World:
    """A hierarchy of loggers of one class, apart from the interpreter's own, with our handler on its root."""

    def __init__(self, kind):
        self.root = logging.RootLogger(logging.DEBUG)
        self.manager = logging.Manager(self.root)
        self.manager.setLoggerClass(kind)
        self.handler = RecordHandler()
        self.root.addHandler(self.handler)
        self.others = []

    def get(self, name="shop.api"):
        return self.manager.getLogger(name) if name else self.root

    def see(self, name="", level=logging.NOTSET):
        self.others.append(Seeing(level))
        self.get(name).addHandler(self.others[-1])
        return self.others[-1]


@pytest.fixture
def road(monkeypatch):
    made = Road()
    monkeypatch.setattr(slot, "road", made)
    return made


@pytest.fixture
def world():
    return World(Logger)


@pytest.fixture
def log(world):
    return world.get()


def way(road, log):
    """How a line of this logger gets to the road at this moment; that it gets there."""
    before = len(road.ways)
    log.info("said %s", "so", extra={"order": 1})
    assert road.said[before:] == [(logging.INFO, log.name, "said %s", ("so",), {"order": 1}, None, None)]
    return road.ways[-1]


def test_where_only_our_handler_would_get_it_no_record_is_made(road, log):
    assert way(road, log) == ROAD


def test_every_way_to_say_something_is_short(road, log):
    error = ValueError()
    for name in ("debug", "info", "warning", "error", "critical", "fatal"):
        getattr(log, name)("said", extra={"order": 1}, exc_info=error)
    log.log(25, "said", extra={"order": 1}, exc_info=error)
    log.exception("said", extra={"order": 1}, exc_info=error)  # noqa: LOG004 - what is meant is given
    logging.LoggerAdapter(log, {"order": 1}).info("said", exc_info=error)
    levels = [10, 20, 30, 40, 50, 50, 25, 40, 20]
    assert road.said == [(level, log.name, "said", (), {"order": 1}, error, None) for level in levels]
    assert road.ways == [ROAD] * 9


def test_the_exception_being_handled_is_found(road, log):
    try:
        raise ERROR
    except ValueError:
        log.exception("failed")
        log.info("failed", exc_info=True)
        log.log(20, "failed", exc_info=sys.exc_info())
    log.info("nothing", exc_info=True)  # noqa: LOG014 - that there is none is the point
    assert [said[5] for said in road.said] == [ERROR, ERROR, ERROR, None]
    assert road.ways == [ROAD] * 4


def test_a_stack_that_is_asked_for_is_told(road, log):
    for say in (log.info, log.exception, lambda *args, **options: log.log(20, *args, **options)):
        say("said", stack_info=True)
        assert "test_a_stack_that_is_asked_for_is_told" in road.said[-1][6]


def _beside_root(world, monkeypatch):
    world.see()


def _beside_parent(world, monkeypatch):
    world.get("shop").addHandler(logging.NullHandler())


def _handler_filter(world, monkeypatch):
    world.handler.addFilter(lambda record: True)


def _logger_filter(world, monkeypatch):
    world.get().addFilter(lambda record: True)


def _derived_handler(world, monkeypatch):
    class Counting(RecordHandler):
        def emit(self, record):
            super().emit(record)

    world.root.handlers = [Counting()]


def _record_factory(world, monkeypatch):
    class Record(logging.LogRecord):
        """One that somebody derived."""

    monkeypatch.setattr(logging, "_logRecordFactory", Record)


def _library_patched(name):
    def patch(world, monkeypatch):
        original = getattr(logging.Logger, name)

        def patched(self, *args, **options):
            return original(self, *args, **options)

        monkeypatch.setattr(logging.Logger, name, patched)

    patch.__name__ = f"library's {name}"
    return patch


def _class_patched(world, monkeypatch):
    def patched(self, record):
        logging.Logger.callHandlers(self, record)

    monkeypatch.setattr(Logger, "callHandlers", patched, False)


LOOKED_AT = [
    _beside_root,
    _beside_parent,
    _handler_filter,
    _logger_filter,
    _derived_handler,
    _record_factory,
    *map(_library_patched, ("_log", "makeRecord", "handle", "callHandlers")),
    _class_patched,
]


@pytest.mark.parametrize("arrange", LOOKED_AT, ids=lambda arrange: arrange.__name__.strip("_").replace("_", " "))
def test_whoever_may_look_at_a_record_gets_one_from_the_moment_on_that_he_may(road, world, log, monkeypatch, arrange):
    assert way(road, log) == ROAD
    arrange(world, monkeypatch)
    assert way(road, log) == RECORD


def test_a_method_that_was_replaced_before_we_came_is_not_taken_for_the_librarys(road, log, monkeypatch):
    def patched(self, record):
        """An agent's, from before our import."""

    original = logging.Logger.handle
    assert stdlib._of_the_library("handle") is original
    monkeypatch.setattr(logging.Logger, "handle", patched)
    monkeypatch.setattr(stdlib, "_handle", stdlib._of_the_library("handle"))
    log.info("said")
    assert not road.said  # the agent's method has swallowed the record, as it would have the library's


def test_when_nobody_else_looks_any_more_the_way_is_short_again(road, world, log):
    other = world.see()
    assert way(road, log) == RECORD
    world.root.removeHandler(other)
    assert way(road, log) == ROAD


def test_handlers_that_would_not_get_it_do_not_count(road, world, log):
    world.see(level=logging.WARNING)
    world.see("elsewhere")
    assert way(road, log) == ROAD
    log.warning("said")
    assert road.ways[-1] == RECORD
    assert len(world.others[0].seen) == 1


def test_a_logger_that_keeps_its_records_needs_our_handler_itself(road, world, log):
    log.propagate = False
    other = Seeing()
    log.addHandler(other)
    log.info("said")
    assert (len(other.seen), road.said) == (1, [])
    log.handlers = [RecordHandler()]
    world.see()
    assert way(road, log) == ROAD


def test_our_handler_in_two_places_says_it_twice_as_ever(road, world, log):
    world.get("shop").addHandler(RecordHandler())
    log.info("said")
    assert road.ways == [RECORD] * 2


def test_a_handler_derived_from_ours_that_only_hands_over_is_as_good(road, world, log):
    class Named(RecordHandler):
        def __init__(self, name):
            super().__init__()
            self.name = name

    world.root.handlers = [Named("ours")]
    assert way(road, log) == ROAD


def test_what_is_off_is_off(road, world, log):
    log.setLevel(logging.WARNING)
    log.info("no")
    world.handler.setLevel(logging.ERROR)
    log.warning("no")
    world.handler.setLevel(logging.NOTSET)
    world.manager.disable = logging.WARNING
    world.manager._clear_cache()
    log.warning("no")
    log.error("yes")
    log.disabled = True
    log.error("no")
    assert [said[2] for said in road.said] == ["yes"]


def test_what_another_event_stands_for_is_not_said(road, log, monkeypatch):
    log.info(Told("no"))
    with told(log.name):
        log.info("no")
    monkeypatch.setattr(stdlib, "elsewhere", {log.name})
    log.info("no")
    assert not road.said


def test_while_there_is_no_road_records_pass_by(world, log):
    log.info("said")
    other = world.see()
    log.info("said")
    assert len(other.seen) == 1


def test_a_field_named_as_an_attribute_of_records_is_refused_as_ever(road, log):
    for name in ("message", "asctime", "name", "args"):
        with pytest.raises(KeyError, match=f"Attempt to overwrite '{name}' in LogRecord"):
            log.info("said", extra={name: 1})
        with pytest.raises(KeyError, match=f"Attempt to overwrite '{name}' in LogRecord"):
            log.log(20, "said", extra={name: 1})
    assert not road.said


def test_a_derived_class_that_has_its_own_steps_takes_them(road):
    asked = []

    class Asking(Logger):
        def isEnabledFor(self, level):  # noqa: N802 - the library's name
            asked.append(level)
            return super().isEnabledFor(level)

    class Adding(Logger):
        def _log(self, level, msg, args, exc_info=None, extra=None, stack_info=False, stacklevel=1, order=None):
            super()._log(level, msg, args, exc_info, {"order": order}, stack_info, stacklevel + 1)

    class Refusing(Logger):
        def filter(self, record):
            return False

    World(Asking).get().info("said")
    assert asked == [logging.INFO]
    World(Adding).get().info("said", order=7)
    assert road.said[-1][4] == {"order": 7}
    World(Refusing).get().info("no")
    assert [said[2] for said in road.said] == ["said"] * 2


def test_a_derived_class_with_more_levels_stays_short(road):
    class Tracing(Logger):
        def trace(self, msg, *args, **options):
            if self.isEnabledFor(5):
                self._log(5, msg, args, **options)

    log = World(Tracing).get()
    log.setLevel(1)
    log.trace("said %d", 1, extra={"order": 1})
    assert road.said == [(5, log.name, "said %d", (1,), {"order": 1}, None, None)]
    assert way(road, log) == ROAD


def _calls(log):
    """Every way to say something, each on a line of its own."""
    adapter = logging.LoggerAdapter(log, {})
    return [
        lambda: log.debug("said"),
        lambda: log.info("said"),
        lambda: log.warning("said"),
        lambda: log.error("said"),
        lambda: log.critical("said"),
        lambda: log.fatal("said"),
        lambda: log.exception("said"),  # noqa: LOG004 - how it is called is the point
        lambda: log.log(logging.INFO, "said"),
        lambda: adapter.info("said"),
        lambda: adapter.exception("said"),
        lambda: log.info("said", stack_info=True),
    ]


@pytest.mark.parametrize("number", range(11))
def test_the_caller_is_found_as_ever(road, number):
    shown = []
    for kind in (logging.Logger, Logger):
        world = World(kind)
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(logging.Formatter("%(filename)s %(lineno)d %(funcName)s %(message)s"))
        world.root.addHandler(handler)
        _calls(world.get())[number]()
        shown.append(out.getvalue())
    assert "test_stdlib_logger.py" in shown[0]
    assert "<lambda> said" in shown[0]
    assert shown[0] == shown[1]


def test_stacklevel_leads_as_far_up_as_ever(road):
    def helper(log, stacklevel):
        log.info("said", stacklevel=stacklevel)
        log.log(20, "said", stacklevel=stacklevel)

    for stacklevel, name in ((1, "helper"), (2, "test_stacklevel_leads_as_far_up_as_ever")):
        world = World(Logger)
        other = world.see()
        helper(world.get(), stacklevel)
        assert [seen["funcName"] for seen in other.seen] == [name] * 2


def test_pytests_caplog_sees_what_it_always_saw(road, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger().manager, "loggerClass", Logger)
    log = logging.getLogger("test.of.our.logger.class")
    log.setLevel(logging.INFO)
    log.info("said %d", 1)
    assert caplog.messages == ["said 1"]


def test_the_library_accepts_it_as_the_class_of_all_loggers(monkeypatch):
    monkeypatch.setattr(logging, "_loggerClass", logging.getLoggerClass())
    logging.setLoggerClass(Logger)
    assert type(logging.getLogger("test.made.of.our.class")) is Logger


class Words(UserDict):
    """A mapping that is no dict."""

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


NAMES = ("a", "a.b", "a.b.c", "x")
LEVELS = st.sampled_from([0, 5, 10, 20, 25, 30, 40, 50])
MESSAGES = st.sampled_from(["said", "said %s", "%s and %(b)s", "", 17, None, ERROR, {"event": "x", "n": 1}, b"bytes"])
ARGUMENTS = st.sampled_from([(), (1,), ("a", 2), ({"b": 1},), ({},), (Words(b=1),), (None,), ((1, 2),)])
EXTRAS = st.sampled_from(
    [None, {}, {"order": 1, "event": "y"}, {"name": 1}, {"message": 1}, {"taskName": 1}, {7: 1}, Words(order=1), (), 7]
)
EXC_INFOS = st.sampled_from([None, False, True, ERROR, (ValueError, ERROR, None), (None, None, None), 0, "yes", ()])
CALLS = st.fixed_dictionaries(
    {
        "do": st.sampled_from(
            ["debug", "info", "warning", "error", "critical", "fatal", "exception", "log", "adapter"]
        ),
        "name": st.sampled_from(NAMES),
        "level": LEVELS | st.just("high"),
        "msg": MESSAGES,
        "args": ARGUMENTS,
        "options": st.fixed_dictionaries(
            {},
            optional={
                "extra": EXTRAS,
                "exc_info": EXC_INFOS,
                "stack_info": st.booleans(),
                "stacklevel": st.sampled_from([1, 2, 100]),
            },
        ),
        "unknown": st.integers(0, 9).map(lambda number: {"unknown": 1} if number == 9 else {}),
        "handling": st.booleans(),
    }
)
CHANGES = st.fixed_dictionaries(
    {
        "do": st.sampled_from(
            ["level", "propagate", "disabled", "see", "ours", "filter", "unhandled", "disable", "ours level", "told"]
        ),
        "name": st.sampled_from(("", *NAMES)),
        "level": LEVELS,
        "on": st.booleans(),
    }
)


def _change(world, step):
    log = world.get(step["name"])
    match step["do"]:
        case "level":
            log.setLevel(step["level"])
        case "propagate":
            log.propagate = step["on"]
        case "disabled":
            log.disabled = step["on"]
        case "see":
            world.see(step["name"], step["level"])
        case "ours":
            log.addHandler(RecordHandler(step["level"]))
        case "filter":
            log.addFilter(lambda record: setattr(record, "seen_by", step["name"]) or step["on"])
        case "unhandled":
            log.handlers.clear()
        case "disable":
            world.manager.disable = step["level"]
            world.manager._clear_cache()
        case "ours level":
            world.handler.setLevel(step["level"])
        case "told":
            (stdlib.elsewhere.add if step["on"] else stdlib.elsewhere.discard)(step["name"])


def _say(world, step):
    """One call; the error it raised, if it did."""
    log, options = world.get(step["name"]), {**step["options"], **step["unknown"]}
    if step["do"] == "adapter":
        log, step = logging.LoggerAdapter(log, {"adapted": 1}), {**step, "do": "info"}
    words = (step["level"], step["msg"]) if step["do"] == "log" else (step["msg"],)
    try:
        if not step["handling"]:
            getattr(log, step["do"])(*words, *step["args"], **options)
            return None
        try:
            raise ERROR.with_traceback(None)
        except ValueError:
            getattr(log, step["do"])(*words, *step["args"], **options)
    except Exception as error:
        return type(error)
    return None


@given(steps=st.lists(CALLS | CHANGES, max_size=25))
def test_the_same_is_said_seen_and_raised_as_with_the_librarys_own_class(steps):
    found = []
    for kind in (logging.Logger, Logger):
        world, road, raised = World(kind), Road(), []
        before, slot.road = slot.road, road
        try:
            for step in steps:
                if "msg" in step:
                    raised.append(_say(world, step))
                else:
                    _change(world, step)
        finally:
            slot.road = before
            stdlib.elsewhere.difference_update(("", *NAMES))
        found.append((road.said, [each.seen for each in world.others], raised))
    (said, seen, raised), (said_by_us, seen_of_us, raised_by_us) = found
    assert said_by_us == said
    assert seen_of_us == seen
    assert raised_by_us == raised
