"""A hundred hostile values on every way into the road: nothing raised, each found, strictly valid JSON."""

import importlib.util
import json
import logging
from pathlib import Path

import pytest

import clusterlog
from clusterlog.record.stdlib import RecordHandler
from clusterlog.spool.reader import instances, records

_SPEC = importlib.util.spec_from_file_location("hostile_values", Path(__file__).parents[1] / "hostile_values.py")
_TABLE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_TABLE)
HOSTILE = _TABLE.HOSTILE


def refuse_constant(text):
    raise AssertionError(f"{text} is no JSON")


def without_doubles(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a name stands twice: {names}"
    return dict(pairs)


def strict(payload):
    """Read as the strictest of parsers would: no NaN, no doubled names, no lone surrogates, nothing beyond 64 bits."""
    document = json.loads(payload.decode("utf-8"), parse_constant=refuse_constant, object_pairs_hook=without_doubles)
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document


@pytest.fixture
def spoken(tmp_path, monkeypatch):
    """Logs into a fresh home and gives back every document of it."""
    monkeypatch.chdir(tmp_path)
    clusterlog.start("hostile", home=str(tmp_path / "home"), level="DEBUG")

    def documents():
        assert set(clusterlog.dropped()) <= {"late_annotation"}
        clusterlog.stop()
        spool = tmp_path / "home" / "spool"
        return [strict(item.payload) for each in instances(spool) for _, item in records(spool, each)]

    yield documents
    clusterlog.stop()


@pytest.fixture
def alone(monkeypatch):
    """Leaves our handler alone on the root: those of the test runner format, and raise where formatting fails."""
    root = logging.getLogger()
    before = root.handlers

    def alone():
        monkeypatch.setattr(root, "handlers", [each for each in root.handlers if isinstance(each, RecordHandler)])

    yield alone
    before[:] = [each for each in before if not isinstance(each, RecordHandler)]  # stop() saw the other list only


def found(documents, way):
    """What was logged on one way, by the number it was logged under."""
    return {
        told["labels"]["number"]: told
        for told in documents
        if told["log"]["logger"] == f"hostile.{way}" and "number" in told.get("labels", {})
    }


def test_there_are_a_hundred_of_them():
    assert len(HOSTILE) >= 100


def test_each_hostile_value_is_found_whatever_way_it_came(spoken, alone):
    alone()
    native, standard = clusterlog.get_logger("hostile.native"), logging.getLogger("hostile.extra")
    percent, message = logging.getLogger("hostile.percent"), clusterlog.get_logger("hostile.message")
    for number, (_, make) in enumerate(HOSTILE):
        native.info("a value", number=number, value=make())
        standard.info("a value", extra={"number": number, "value": make()})
        percent.warning("a value %s %r", make(), make(), extra={"number": number})
        message.error(make(), number=number)
    documents = spoken()
    for way in ("native", "extra", "percent", "message"):
        assert set(found(documents, way)) == set(range(len(HOSTILE))), way
    for told in found(documents, "native").values():
        assert told["message"] == "a value"
        assert "value" in told["labels"]


def test_each_hostile_value_can_be_bound_and_annotated(spoken, alone):
    alone()
    log = clusterlog.get_logger("hostile.bound")
    for number, (_, make) in enumerate(HOSTILE):
        with clusterlog.extract({}), clusterlog.bound(value=make()):
            clusterlog.annotate(fact=make())
            log.info("a value", number=number)
    told = found(spoken(), "bound")
    assert set(told) == set(range(len(HOSTILE)))
    assert all({"value", "fact"} <= each["labels"].keys() for each in told.values())


def test_events_with_hostile_values_keep_to_the_size_of_an_event(spoken, alone):
    alone()
    log = clusterlog.get_logger("hostile.all")
    log.info("all of them", number=1, values=[make() for _, make in HOSTILE])
    (told,) = found(spoken(), "all").values()
    assert len(json.dumps(told)) < 2 << 20
