"""uvicorn and gunicorn, in the ways they are started and configured."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


def access_lines(server, id):
    return [line for line in server.console() if f"[{id}]" in line and "HTTP/1.1" in line]


def test_requests_on_one_connection_are_kept_apart(serve, servers):
    """python/cpython#140947: a task may be born with the context of the request before."""
    server = serve(servers["uvicorn"]("asgi_starlette:app"))
    with closing(server.connect()) as connection:
        answers = [server.ask(path, connection=connection) for path in ("/plain", "/plain", "/streamed", "/unhandled")]
    server.stop()
    ids = [answer.id for answer in answers]
    assert len(set(ids)) == 4
    for id, said in zip(ids, ["in plain", "in plain", "in streamed", "in unhandled"], strict=True):
        events = server.events().of(id)
        assert events["app"][0]["message"] == said
        assert len(events["access"]) == len(access_lines(server, id)) == 1


def test_a_thread_of_gunicorn_does_not_take_the_id_of_a_failed_request_into_the_next_one(serve, servers):
    server = serve(servers["gunicorn"]("wsgi_bare:app", "-k", "gthread", "--threads", "1"))
    answers = [server.ask(path) for path in ("/unhandled", "/plain", "/late", "/plain")]
    server.stop()
    assert len({answer.id for answer in answers}) == 4
    for answer, said in zip(answers, ["in unhandled", "in plain", "in late", "in plain"], strict=True):
        assert server.events().of(answer.id)["app"][0]["message"] == said


@pytest.fixture(scope="module")
def socket_server(tmp_path_factory, servers):
    server = servers["uvicorn"]("asgi_starlette:app")(tmp_path_factory.mktemp("websocket"))
    yield server
    server.stop()


@pytest.mark.parametrize("trust", ["private", "none"])
def test_the_peer_is_the_proxy_though_uvicorn_names_the_client_it_speaks_of(serve, servers, trust):
    server = serve(servers["uvicorn"]("asgi_starlette:app"), CLUSTERLOG_TRUST=trust)
    answer = server.ask("/plain", X_Request_ID="the-proxys", X_Forwarded_For="203.0.113.9")
    server.stop()
    assert [line for line in access_lines(server, answer.id) if "203.0.113.9:0" in line]
    assert (answer.id == "the-proxys") is (trust == "private")


class TestWebSocket:
    def opened(self, socket_server, way, id):
        return connect(
            f"ws://127.0.0.1:{socket_server.port}/socket?way={way}", additional_headers={"X-Request-ID": id}, proxy=None
        )

    def told(self, socket_server, until, id):
        return until(lambda: socket_server.events().of(id)["access"], f"the access event of {id}")

    @pytest.mark.parametrize(
        ("way", "code", "outcome"), [("", 1000, "success"), ("own", 4001, "success"), ("broken", None, "failure")]
    )
    def test_an_accepted_one_is_told_with_its_code(self, socket_server, until, way, code, outcome):
        id = f"accepted-{way}"
        with self.opened(socket_server, way, id) as socket:
            assert socket.response.headers["x-request-id"] == id
            socket.send("hello")
            with pytest.raises(ConnectionClosed):
                socket.recv()
        (event,) = self.told(socket_server, until, id)
        assert event["http"]["response"] == {"status_code": 101}
        assert event["clusterlog"].get("websocket", {}).get("close_code") == code
        assert socket.close_code == (code or 1006)
        assert event["clusterlog"]["route"] == "/socket"
        assert event["labels"] == {"said": "hello"}
        assert event["event"]["outcome"] == outcome

    def test_a_client_that_says_goodbye_is_told_with_its_code(self, socket_server, until):
        with self.opened(socket_server, "waits", "goodbye") as socket:
            socket.send("hello")
            socket.close(1001)
        (event,) = self.told(socket_server, until, "goodbye")
        assert event["clusterlog"]["websocket"] == {"close_code": 1001}

    @pytest.mark.parametrize(("way", "status"), [("refused", 403), ("unhandled", 500)])
    def test_a_refused_one_is_answered_with_the_id(self, socket_server, until, way, status):
        with pytest.raises(InvalidStatus) as refused, self.opened(socket_server, way, way):
            pass
        assert refused.value.response.status_code == status
        assert refused.value.response.headers.get_all("x-request-id") == [way]
        (event,) = self.told(socket_server, until, way)
        assert event["http"]["response"] == {"status_code": status}
        assert "websocket" not in event["clusterlog"]


@pytest.mark.parametrize("lifespan", ["auto", "off"])
def test_a_program_that_starts_its_own_uvicorn_is_followed_although_logging_is_configured_later(
    serve, servers, lifespan
):
    server = serve(servers["program"]("own_server", lifespan))
    answers = {path: server.ask(path) for path in ("/plain", "/unhandled")}
    server.stop()
    events = server.events()
    for path, answer in answers.items():
        assert len(events.of(answer.id)["access"]) == 1, path
        assert len(access_lines(server, answer.id)) == 1, path
    failed = answers["/unhandled"].id
    (line,) = [each for each in events.of(failed)["app"] if each["log"]["logger"] == "uvicorn.error"]
    assert line["error"]["type"] == "LookupError"
    assert [each for each in server.console() if each.endswith(f"Exception in ASGI application [{failed}]")]
    assert events.messages.count(f"Finished server process [{server.process.pid}]") == 1


def test_a_log_configuration_of_the_users_own_is_heard_once(serve, servers, tmp_path):
    """JSON on the console, everything by way of the root, no handlers of uvicorn's own."""
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "pythonjsonlogger.json.JsonFormatter", "fmt": "%(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {"uvicorn.access": {"handlers": ["console"], "propagate": False}},
    }
    (tmp_path / "log.json").write_text(json.dumps(config))
    server = serve(servers["uvicorn"]("asgi_starlette:app", "--log-config", str(tmp_path / "log.json")))
    answers = [server.ask("/plain"), server.ask("/unhandled")]
    server.stop()
    for line in server.console():
        assert json.loads(line)["message"]
    events = server.events()
    for answer in answers:
        assert len(events.of(answer.id)["access"]) == 1
    assert len([each for each in events.of(answers[1].id)["app"] if "error" in each]) == 1
    assert not [each for each in events if each["log"]["logger"] == "uvicorn.access"]


def test_flasks_development_server_says_on_its_console_what_it_says_without_us(serve, servers):
    server = serve(servers["flask"]("wsgi_flask:app"))
    answer = server.ask("/unhandled")
    server.stop()
    console = "\n".join(server.console())
    for said in (f"Running on http://127.0.0.1:{server.port}", "Exception on /unhandled [GET]", "LookupError: nobody"):
        assert console.count(said) == 1, said
    assert len(access_lines(server, answer.id)) == 1


def test_access_lines_that_were_switched_off_stay_off(serve, servers):
    server = serve(servers["uvicorn"]("asgi_starlette:app", "--no-access-log"))
    answer = server.ask("/plain")
    server.stop()
    assert not [line for line in server.console() if "HTTP/1.1" in line]
    assert len(server.events().of(answer.id)["access"]) == 1


def test_uvicorns_own_lines_come_without_what_is_meant_for_its_console(serve, servers):
    server = serve(servers["uvicorn"]("asgi_starlette:app"))
    server.ask("/plain")
    server.stop()
    said = [each for each in server.events()["app"] if each["log"]["logger"] == "uvicorn.error"]
    assert len([each for each in said if each["message"].startswith("Started server process")]) == 1
    assert not [each for each in said if "labels" in each]


@pytest.mark.parametrize(
    ("application", "options"),
    [
        ("wsgi_flask:app", ["--preload"]),
        ("asgi_starlette:app", ["-k", "uvicorn.workers.UvicornWorker"]),
        ("asgi_bare:app", ["-k", "asgi"]),
    ],
    ids=["preload", "uvicorn", "asgi"],
)
def test_gunicorn_with_preload_and_with_workers_for_asgi(serve, servers, application, options):
    server = serve(servers["gunicorn"](application, *options))
    answers = [server.ask("/plain"), server.ask("/unhandled")]
    server.stop()
    events = server.events()
    for answer in answers:
        assert len(events.of(answer.id)["access"]) == 1
        assert len(access_lines(server, answer.id)) == 1
    assert len([each for each in events.of(answers[1].id)["app"] if "error" in each]) == 1


@pytest.fixture
def untouched(tmp_path):
    """A configuration of gunicorn that follows whatever its workers load."""
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(
        "import clusterlog\n"
        "from clusterlog.integrations import everything\n"
        "everything()\n"
        "def post_fork(server, worker):\n"
        "    clusterlog.start('untouched')\n"
        "def post_worker_init(worker):\n"
        "    open('ready', 'w').close()\n"
    )
    return ["untouched:wsgi", "-c", str(config)]


def test_a_worker_of_gunicorn_is_heard_before_its_first_request(serve, servers, untouched, until):
    server = serve(servers["gunicorn"](*untouched))
    until((server.home.parent / "ready").exists, "the worker is ready")
    server.stop()
    assert [said for said in server.events().messages if said.startswith("Worker exiting")]


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_an_untouched_application_under_gunicorn_is_instrumented_where_the_worker_loads_it(
    serve, servers, untouched, kind
):
    server = serve(servers["gunicorn"](*untouched, "-k", kind))
    answer = server.ask("/a")
    server.stop()
    events = server.events()
    assert len(events.of(answer.id)["access"]) == len(access_lines(server, answer.id)) == 1
    assert "in wsgi" in events.of(answer.id).messages
    assert events.messages.count(f"Worker exiting (pid: {events[0]['process']['pid']})") == 1


def test_an_untouched_application_under_uvicorn_is_instrumented_where_it_is_loaded(serve, servers):
    server = serve(servers["program"]("untouched"))
    answers = [server.ask("/a"), server.ask("/b")]
    server.stop()
    events = server.events()
    for answer in answers:
        assert events.of(answer.id)["app"].messages == ["in asgi"]
        assert len(events.of(answer.id)["access"]) == len(access_lines(server, answer.id)) == 1
    assert events.messages.count(f"Started server process [{server.process.pid}]") == 1
