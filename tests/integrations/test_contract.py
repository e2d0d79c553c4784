"""What every server, framework and kind of application has in common: one request, one access event, one id.

Each server is asked for everything, stopped, and judged afterwards, so that "exactly one" is meant of all there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import pytest

OWN_LOGGERS = ("shop.bare", "shop.api", "orders.stock")
HELLO = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@dataclass
class Wanted:
    """What is to be found of one request. ``size`` -1: not looked at."""

    status: int
    size: int = -1
    error: str = ""
    reason: str = ""
    said: list[str] = field(default_factory=list)
    method: str = "GET"

    @property
    def failed(self):
        return self.status >= 500 or bool(self.error or self.reason)


CASES = {
    "plain": Wanted(200, 5, said=["in plain"]),
    "head": Wanted(200, 0, said=["in plain"], method="HEAD"),
    "unhandled": Wanted(500, error="LookupError", said=["in unhandled"]),
    "handled": Wanted(502, 11, said=["in handled"]),
    "missing": Wanted(404, 9, said=["in missing"]),
    "own": Wanted(200, 3, said=["in own"]),
    "streamed": Wanted(200, 30, said=["in streamed", *["streaming"] * 3]),
    "broken": Wanted(200, 4, error="LookupError", said=["in broken"]),
    "begun": Wanted(500, error="LookupError", said=["in begun"]),
    "late": Wanted(500, error="LookupError", said=["in late", "the server asks"]),
    "written": Wanted(200, 7, said=["in written"]),
    "file": Wanted(200, said=["in file"]),
    "silent": Wanted(500, reason="no response", said=["in silent", "returns without an answer"]),
    "after": Wanted(200, 5, said=["in after", "after the answer"]),
    "endless": Wanted(0, reason="client disconnected", said=["in endless"]),
}
COMMON = ["plain", "head", "unhandled", "handled", "missing", "own", "streamed", "broken", "file", "endless"]
ASGI = [*COMMON, "after"]
SERVERS = {
    "uvicorn-bare": ("uvicorn", "asgi_bare:app", [], {}, [*ASGI, "silent"]),
    "uvicorn-starlette": ("uvicorn", "asgi_starlette:app", [], {}, ASGI),
    "uvicorn-passing": ("uvicorn", "asgi_starlette:app", [], {"SERVED_PASSING": "1"}, ASGI),
    "gunicorn-bare": (
        "gunicorn", "wsgi_bare:app", ["-k", "gthread", "--threads", "2"], {}, [*COMMON, "begun", "late", "written"]
    ),
    "gunicorn-sync": ("gunicorn", "wsgi_flask:app", ["-w", "2"], {}, COMMON),
    "flask-run": ("flask", "wsgi_flask:app", [], {}, [case for case in COMMON if case != "broken"]),
    "gunicorn-gthread": ("gunicorn", "wsgi_flask:app", ["-w", "2", "-k", "gthread", "--threads", "2"], {}, COMMON),
}  # fmt: skip


class Told:
    """A server that has been asked for everything and stopped: answers by case, events, console."""

    def __init__(self, name, server, cases, until):
        self.name = name
        self.answers = {}
        for case in cases:
            wanted = CASES[case]
            path = f"/{'plain' if case == 'head' else case}"
            if case == "endless":
                self._abort(server, path, until)
            else:
                self.answers[case] = server.ask(path, wanted.method, X_Request_ID=f"{name}.{case}", **HELLO)
        server.stop()
        self.events = server.events()
        self.console = server.console()

    def _abort(self, server, path, until):
        """Not every server waits at its end for what it is still sending."""
        id = f"{self.name}.endless"
        server.abort(path, X_Request_ID=id, **HELLO)
        until(lambda: server.events().of(id)["access"], f"{self.name} notices that its client has left")


@pytest.fixture(scope="module")
def asked(tmp_path_factory, servers, until):
    """Ask a server by its name: started, asked and stopped when the first test wants to know."""
    told = {}

    def ask(name):
        if name not in told:
            kind, application, options, environ, cases = SERVERS[name]
            server = servers[kind](application, *options)(tmp_path_factory.mktemp(name), **environ)
            try:
                told[name] = Told(name, server, cases, until)
            finally:
                server.stop()
        return told[name]

    return ask


@pytest.fixture
def told(request, asked):
    return asked(request.param)


of_each_case = pytest.mark.parametrize(
    ("told", "case"), [(name, case) for name in SERVERS for case in SERVERS[name][-1]], indirect=["told"]
)


def wanted_of(told, case):
    """What is wanted of the access event."""
    if told.name == "uvicorn-passing" and case == "broken":
        # Starlette's BaseHTTPMiddleware completes an answer whose body broke, and raises when it is complete.
        return replace(CASES[case], error="")
    return CASES[case]


def access(told, case):
    found = told.events.of(f"{told.name}.{case}")["access"]
    assert found.messages == [found[0]["message"]] if found else []
    return found[0]


@of_each_case
def test_a_request_has_exactly_one_access_event(told, case):
    assert len(told.events.of(f"{told.name}.{case}")["access"]) == 1


@of_each_case
def test_an_access_event_tells_what_was_answered(told, case):
    wanted, event = wanted_of(told, case), access(told, case)
    response = event["http"].get("response", {})
    assert response.get("status_code", 0) == wanted.status
    assert event["http"]["request"]["method"] == wanted.method
    assert event["url"] == {"path": f"/{'plain' if case == 'head' else case}"}
    if wanted.size >= 0:
        assert response["body"]["bytes"] == wanted.size
    if wanted.status and not wanted.error:
        answer = told.answers[case]
        assert answer.status == wanted.status
        assert response["body"]["bytes"] == len(answer.body)
    ending = wanted.status or "aborted"
    assert event["message"] == f"{wanted.method} {event['url']['path']} {ending}"
    assert 0 < event["event"]["duration"] < 60e9


@of_each_case
def test_an_access_event_tells_whether_it_went_well(told, case):
    wanted, event = wanted_of(told, case), access(told, case)
    assert event["event"]["outcome"] == ("failure" if wanted.failed else "success")
    assert event["log"] == {"level": "error" if wanted.failed else "info", "logger": "clusterlog.access"}
    assert event["event"].get("reason", "") == wanted.reason
    if wanted.error:
        assert event["error"]["type"] == wanted.error
        assert "raise LookupError" in event["error"]["stack_trace"]


@of_each_case
def test_a_response_has_the_id_once_and_it_is_that_of_its_events(told, case):
    if case in told.answers:
        assert told.answers[case].ids == [f"{told.name}.{case}"]


@of_each_case
def test_every_line_of_a_request_has_its_id(told, case):
    said = told.events.of(f"{told.name}.{case}")["app"]
    assert [each["message"] for each in said if each["log"]["logger"] in OWN_LOGGERS] == CASES[case].said


@of_each_case
def test_the_servers_access_line_is_on_its_console_once_with_the_id_and_not_on_the_road(told, case):
    lines = [line for line in told.console if f"[{told.name}.{case}]" in line and " HTTP/1.1" in line]
    assert len(lines) == 1, lines
    assert not [each for each in told.events if " HTTP/1.1" in each["message"]]


@of_each_case
def test_a_servers_own_line_about_an_exception_has_the_id_and_is_on_the_road_once(told, case):
    own = ("uvicorn.error", "gunicorn.error", "werkzeug")
    said = [each for each in told.events.of(f"{told.name}.{case}") if each["log"]["logger"] in own and "error" in each]
    shown = [line for line in told.console if re.search(rf"(ERROR).*\[{told.name}\.{case}\]$", line)]
    # Flask answers itself and says so itself; where the answer has begun, its server has to.
    expected = CASES[case].error and not (told.name.endswith(("sync", "gthread", "run")) and case == "unhandled")
    assert len(said) == len(shown) == (1 if expected else 0)
    if expected:
        assert said[0]["error"]["type"] == "LookupError"


@of_each_case
def test_a_request_continues_the_callers_trace_in_a_span_of_its_own(told, case):
    event = access(told, case)
    assert event["trace"]["id"] == "0af7651916cd43dd8448eb211c80319c"
    assert event["clusterlog"]["parent"]["span_id"] == "b7ad6b7169203331"
    spans = {each["span"]["id"] for each in told.events.of(f"{told.name}.{case}")}
    assert spans == {event["span"]["id"]} != {"b7ad6b7169203331"}


@of_each_case
def test_what_was_annotated_is_on_the_access_event(told, case):
    name = "plain" if case == "head" else case
    assert access(told, case)["labels"]["endpoint"] == name


@of_each_case
def test_the_access_event_is_told_when_the_answer_is_complete(told, case):
    """After all that is said while a body is made, before what a background task says."""
    order = told.events.of(f"{told.name}.{case}").messages
    told_at = order.index(access(told, case)["message"])
    assert set(order[:told_at]) >= set(CASES[case].said) - {"after the answer"}
    assert "after the answer" not in order[:told_at]


@of_each_case
def test_a_route_is_named_by_its_template_where_the_framework_has_one(told, case):
    expected = None if told.name.endswith("bare") else access(told, case)["url"]["path"]
    assert access(told, case)["clusterlog"].get("route") == expected


@pytest.mark.parametrize("told", SERVERS, indirect=True)
def test_no_event_of_a_request_is_there_twice(told):
    ids = [each["event"]["id"] for each in told.events]
    assert len(ids) == len(set(ids))
