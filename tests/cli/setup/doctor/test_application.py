"""Each fault that an application can have is planted once, and the doctor names it."""

from __future__ import annotations

import pytest

STARLETTE = """
    import clusterlog, logging, logging.config
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def home(request):
        return PlainTextResponse("home")
"""
FLASK = """
    import clusterlog, logging, logging.config
    from flask import Flask
    app = Flask(__name__)
"""
SOUND = (
    STARLETTE
    + """
    clusterlog.start("shop")
    app = clusterlog.instrument(Starlette(routes=[Route("/", home)]))
"""
)
INSIDE = ("application", "threads", "start", "handlers", "root logger", "loggers", "middleware", "500")


def states(found):
    """Each check inside of the application with the worst of its states."""
    order = ("ok", "note", "warning", "problem")
    return {
        check: max((each["state"] for each in findings), key=order.index)
        for check, findings in found.items()
        if check in INSIDE
    }


def only(found, check):
    """The one finding about a check."""
    (finding,) = found[check]
    return finding


@pytest.mark.parametrize(
    "source",
    [
        SOUND,
        FLASK + "    clusterlog.start('shop')\n    clusterlog.instrument(app)\n",
        FLASK + "    clusterlog.start('shop')\n    app = clusterlog.instrument(app.wsgi_app)\n",
        STARLETTE + "    clusterlog.start('shop')\n    app = clusterlog.instrument(Starlette().__call__)\n",
    ],
)
def test_a_sound_application_has_no_fault(asked, source):
    found = states(asked(source))
    assert set(found.values()) <= {"ok", "note"}, found
    assert {"middleware", "root logger", "loggers", "threads"} <= found.keys()


def test_a_handler_that_is_there_twice(asked):
    found = asked(SOUND + "    logging.getLogger().addHandler(clusterlog.Handler())\n")
    assert only(found, "handlers")["text"] == "the root logger has clusterlog's handler 2 times"


def test_a_handler_on_a_logger_and_on_the_root(asked):
    found = asked(SOUND + "    logging.getLogger('shop.db').addHandler(clusterlog.Handler())\n")
    assert only(found, "handlers")["text"].startswith("shop.db and the root logger both have")


def test_a_handler_that_a_later_configuration_removed(asked):
    configured = "    logging.config.dictConfig({'version': 1, 'root': {'level': 'INFO', 'handlers': []}})\n"
    found = asked(SOUND + configured)
    assert only(found, "root logger")["state"] == "problem"
    assert "removed after start()" in only(found, "root logger")["text"]
    assert "call start() after dictConfig()" in only(found, "root logger")["mend"]


def test_a_root_logger_that_somebody_else_took(asked):
    found = asked(SOUND + "    logging.basicConfig(force=True)\n")
    assert only(found, "root logger")["text"].endswith("the root logger's handlers are: StreamHandler")


@pytest.mark.parametrize("how", ["logging.disable(logging.CRITICAL)", "logging.getLogger().disabled = True"])
def test_a_root_logger_that_is_disabled(asked, how):
    found = asked(f"{SOUND}    {how}\n")
    assert only(found, "root logger")["state"] == "problem"


def test_a_level_that_was_raised_afterwards(asked):
    found = asked(SOUND + "    logging.getLogger().setLevel('ERROR')\n")
    assert only(found, "root logger")["text"] == "its level is ERROR, and the setting level is INFO"


def test_loggers_that_a_configuration_disabled(asked):
    found = asked(
        SOUND
        + """
    logging.getLogger("shop.db")
    logging.config.dictConfig(clusterlog.dict_config() | {"disable_existing_loggers": True})
    """
    )
    assert "shop.db" in only(found, "loggers")["text"]
    assert '"disable_existing_loggers": False' in only(found, "loggers")["mend"]


def test_a_logger_that_keeps_its_lines_to_itself(asked):
    found = asked(SOUND + "    logging.getLogger('shop.audit').propagate = False\n")
    assert only(found, "loggers")["text"] == "they keep their lines to themselves: shop.audit"


def test_an_application_nobody_instrumented(asked):
    found = asked(STARLETTE + "    clusterlog.start('shop')\n    app = Starlette()\n")
    assert only(found, "middleware")["text"] == "app answers without X-Request-ID: nothing instruments it"


def test_a_middleware_in_the_wrong_place(asked):
    source = (
        STARLETTE
        + """
    clusterlog.start('shop')
    inner = clusterlog.instrument(Starlette(routes=[Route("/", home)]))
    app = Starlette(routes=[Mount("/inner", inner)])
    """
    )
    found = asked(source)
    assert "middleware is inside of Starlette" in only(found, "middleware")["text"]


def test_an_id_that_a_500_loses(asked):
    """Something outside of the middleware answers what nobody handled."""
    source = (
        STARLETTE
        + """
    clusterlog.start('shop')

    class Catches:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            async def delayed(message):
                sent.append(message)
            sent = []
            try:
                await self.app(scope, receive, delayed)
            except Exception:
                await PlainTextResponse("sorry", 500)(scope, receive, send)
            else:
                for message in sent:
                    await send(message)

    app = Catches(clusterlog.instrument(Starlette(routes=[Route("/", home)])))
    """
    )
    found = asked(source)
    assert only(found, "middleware")["state"] == "ok"
    assert only(found, "500")["text"].startswith("a 500 of app has no X-Request-ID")


def test_two_middlewares_that_both_answer(asked):
    source = (
        FLASK
        + """
    clusterlog.start('shop')
    inner = clusterlog.instrument(app.wsgi_app)

    def app(environ, start_response):
        return inner({k: v for k, v in environ.items() if not k.startswith("clusterlog")}, start_response)
    app = clusterlog.instrument(app)
    """
    )
    assert only(asked(source), "middleware")["text"] == "one request through app makes 2 access events"


def test_threads_that_are_started_before_a_fork(asked):
    source = (
        SOUND
        + """
    import threading
    threading.Thread(target=threading.Event().wait, daemon=True, name="metrics-reporter").start()
    """
    )
    found = asked(source)
    assert only(found, "threads")["state"] == "warning"
    assert "metrics-reporter" in only(found, "threads")["text"]


def test_start_that_was_forgotten(asked):
    assert only(asked("import clusterlog\napp = None", "shop"), "start")["state"] == "problem"


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("import nothing_of_that_name", "shop:app", "ModuleNotFoundError"),
        ("app = 1", "shop:application", "AttributeError"),
        ("raise SystemExit(3)", "shop:app", "SystemExit"),
        ("import os; os._exit(4)", "shop:app", "ended the process with 4"),
        ("app = 1\n", "no_such_module:app", "ModuleNotFoundError"),
    ],
)
def test_an_application_that_cannot_be_imported_is_one_finding(asked, source, name, said):
    assert said in only(asked(source, name), "application")["text"]


def test_what_is_no_application_is_said(asked):
    findings = asked("import clusterlog; clusterlog.start(); app = 5")["application"]
    assert findings[-1]["text"].startswith("app is neither an ASGI nor a WSGI application")


def test_a_factory_is_called(asked):
    source = (
        STARLETTE
        + """
    def create():
        clusterlog.start("shop")
        return clusterlog.instrument(Starlette(routes=[Route("/", home)]))
    """
    )
    assert states(asked(source, "shop:create()"))["500"] == "ok"


def test_what_the_application_prints_is_not_taken_for_findings(asked):
    assert states(asked("print('hello', flush=True)\n" + SOUND.replace("\n    ", "\n")))["500"] == "ok"


def test_the_home_of_the_team_stays_as_it_is(asked, tmp_path):
    asked(SOUND)
    assert not (tmp_path / "home").exists()
