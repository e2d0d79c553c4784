"""The one verb: what it recognises, what it returns, what it refuses, and what it leaves alone."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import flask
import httpx
import pytest
import requests
import starlette.applications
import urllib3

import clusterlog
from clusterlog.errors import SettingError
from clusterlog.integrations import everything
from clusterlog.integrations.frameworks import asgi, wsgi


async def coroutine(scope, receive, send):
    return None


def three(scope, receive, send):
    return coroutine(scope, receive, send)


def two(environ, start_response):
    return []


def any_number(*given):
    return []


class Asynchronous:
    async def __call__(self, scope, receive, send):
        return None


class Synchronous:
    def __call__(self, environ, start_response, extra=None):
        return []

    def method(self, environ, start_response):
        return []


@pytest.mark.parametrize(
    "app", [coroutine, three, Asynchronous(), functools.partial(coroutine), Asynchronous().__call__]
)
def test_an_asgi_callable_is_wrapped(app):
    wrapped = clusterlog.instrument(app)
    assert type(wrapped) is asgi.Middleware
    assert clusterlog.instrument(wrapped) is wrapped


@pytest.mark.parametrize("app", [two, any_number, Synchronous(), Synchronous().method, functools.partial(two)])
def test_a_wsgi_callable_is_wrapped(app):
    wrapped = clusterlog.instrument(app)
    assert type(wrapped) is wsgi.Middleware
    assert clusterlog.instrument(wrapped) is wrapped


def test_frameworks_and_clients_stay_the_objects_they_are():
    with httpx.Client() as client, requests.Session() as session, urllib3.PoolManager() as manager:
        things = [starlette.applications.Starlette(), flask.Flask("a"), client, session, manager]
        for thing in things:
            assert clusterlog.instrument(thing) is thing
            assert clusterlog.instrument(thing) is thing


@pytest.mark.parametrize(
    "name", ["httpx", "requests", "urllib3", "starlette", "fastapi", "flask", "uvicorn", "structlog", "threads"]
)
def test_a_library_is_instrumented_once_and_can_be_again_after_its_removal(name):
    done = clusterlog.instrument(name)
    assert clusterlog.instrument(name) is done
    done.remove()
    assert done.removed
    again = clusterlog.instrument(name)
    assert not again.removed
    again.remove()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("httpxx", "cannot instrument 'httpxx': did you mean 'httpx'?"),
        ("Flask", "cannot instrument 'Flask': did you mean 'flask'?"),
        ("nothing like it", r"cannot instrument 'nothing like it': known are .*httpx.*urllib3"),
    ],
)
def test_an_unknown_library_is_refused_with_the_nearest_known_one(name, message):
    with pytest.raises(SettingError, match=message):
        clusterlog.instrument(name)


def test_a_library_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.delitem(sys.modules, "requests")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(SettingError, match=r"requests.*not installed"):
        clusterlog.instrument("requests")


@pytest.mark.parametrize("x", [None, 7, [], object(), lambda: None, lambda one: None, lambda a, b, c, d: None])
def test_what_cannot_be_instrumented_is_refused(x):
    with pytest.raises(SettingError, match=f"cannot instrument an object of type {type(x).__name__}: give"):
        clusterlog.instrument(x)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("trust", "10.0.0.0/33"), ("trust", "everybody"), ("propagate_to", "http://a"), ("trust", "")],
)
def test_start_refuses_what_would_puzzle_the_first_request(tmp_path, setting, value):
    with pytest.raises(SettingError, match=f"{setting}"):
        clusterlog.start("tested", home=tmp_path / "home", **{setting: value})
    assert not (tmp_path / "home").exists()


def test_a_class_is_refused_by_its_name():
    with pytest.raises(SettingError, match="cannot instrument the class Synchronous"):
        clusterlog.instrument(Synchronous)


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_instrumenting_imports_nothing_that_the_application_has_not():
    loaded = run(
        "import clusterlog, sys, json\n"
        "clusterlog.instrument(lambda environ, start_response: [])\n"
        "clusterlog.instrument('httpx'); clusterlog.instrument('flask')\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    assert not {"httpx", "requests", "urllib3", "flask", "starlette", "uvicorn", "gunicorn", "asyncio"} & set(loaded)


def test_everything_waits_for_what_is_imported_later_and_loads_next_to_nothing_before():
    found = run(
        "import sys, json\n"
        "from clusterlog.integrations import everything\n"
        "done = everything()\n"
        "early = [name for name in sys.modules if name.startswith(('clusterlog.', 'logging', 'asyncio', 'socket'))]\n"
        "import httpx, requests.adapters, flask, starlette.applications\n"
        "def ours():\n"
        "    made = [httpx.Client._send_single_request, requests.adapters.HTTPAdapter.send, flask.Flask.__call__,\n"
        "            starlette.applications.Starlette.__call__]\n"
        "    return [each.__code__.co_filename.rpartition('clusterlog/')[2] for each in made]\n"
        "before = ours(); done.remove()\n"
        "print(json.dumps([early, before, ours()]))"
    )
    early, before, after = found
    assert not {name for name in early if not name.startswith("clusterlog.")}
    assert "clusterlog.start" not in early
    assert "clusterlog.integrations.frameworks.asgi" not in early
    assert before == [
        "integrations/clients/httpx.py",
        "integrations/clients/requests.py",
        "integrations/frameworks/flask.py",
        "integrations/frameworks/starlette.py",
    ]
    assert not [name for name in after if name.startswith("integrations/")]


def test_what_is_imported_after_the_removal_of_everything_is_left_alone():
    name = run(
        "import json\n"
        "from clusterlog.integrations import everything\n"
        "everything().remove()\n"
        "import httpx\n"
        "print(json.dumps(httpx.Client._send_single_request.__code__.co_filename))"
    )
    assert name.endswith("httpx/_client.py")


def test_everything_in_a_process_that_has_imported_it_takes_effect_at_once():
    pristine = httpx.Client._send_single_request
    done = everything()
    assert httpx.Client._send_single_request is not pristine
    done.remove()
    assert httpx.Client._send_single_request is pristine
