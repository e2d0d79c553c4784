"""WSGI (PEP 3333): one request context, one access event and one ``X-Request-ID`` for each request.

A request ends in the ``close()`` of what the application returned, which a server calls after its own access line.
Where the application raises, the event is told at once; the server's traceback comes later, so the id stays until
the thread's next request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

from clusterlog.context import request as context
from clusterlog.integrations import lines
from clusterlog.integrations.access import Access
from clusterlog.integrations.admission import MARKER, admitted, routed
from clusterlog.integrations.frameworks.asgi import serving

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_HEADERS = {
    "x-request-id": "HTTP_X_REQUEST_ID",
    "traceparent": "HTTP_TRACEPARENT",
    "tracestate": "HTTP_TRACESTATE",
    "cookie": "HTTP_COOKIE",
    "clusterlog-debug": "HTTP_CLUSTERLOG_DEBUG",
    "baggage": "HTTP_BAGGAGE",
}
_UNANSWERED = b"Internal Server Error"
_PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_UNANSWERED)))]


FAILURE = "clusterlog.failure"
"""Key of the environ under which a framework leaves the exception it has made a 500 of."""


class Middleware:
    """A WSGI application around another one; ``answers`` as in ``serve``."""

    __slots__ = ("answers", "app")

    def __init__(self, app: Application, *, answers: bool = True) -> None:
        self.app = app
        self.answers = answers

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """PEP 3333."""
        return serve(self.app, environ, start_response, answers=self.answers)


def serve(
    app: Application, environ: Environ, start_response: StartResponse, *, answers: bool = True
) -> Iterable[bytes]:
    """Run ``app`` for one request. What a middleware further out has taken on, WSGI or ASGI, passes through.

    With ``answers``, an exception becomes a 500 that has our id on it, before it goes on to the server. Without, it
    goes on as it is: to a debugger or a test that waits for it further out.
    """
    if MARKER in environ or _inside_asgi():
        return app(environ, start_response)
    lines.settle()
    exchange = Exchange(environ, start_response, answers)
    try:
        returned = app(environ, exchange.start_response)
    except Exception as error:
        return exchange.unanswered(error)
    except BaseException as error:  # a worker that is told to stop
        exchange.failed(error)
        raise
    try:
        exchange.pass_on()
    except BaseException as error:  # the server does not take these headers, and will not see what was returned
        exchange.failed(error)
        _close(returned)
        raise
    return exchange.file(returned) if _is_file(returned, environ) else Body(returned, exchange)


def _inside_asgi() -> bool:
    """Whether an ASGI application that has taken the request on has mounted this one."""
    scope = context.current.get()
    return scope is not None and scope.request in serving


def _is_file(returned: Iterable[bytes], environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(returned, wrapper)


class Exchange:
    """One request and what is answered to it.

    ``start_response`` is passed on late, when the application has returned or yields: until then an exception can
    still become a 500 that has our id on it.
    """

    __slots__ = ("_answers", "_environ", "_length", "_pending", "_start", "_write", "access", "answered")

    def __init__(self, environ: Environ, start_response: StartResponse, answers: bool) -> None:
        found = {name: [environ[key]] for name, key in _HEADERS.items() if key in environ}
        request = admitted(found, _peer(environ))
        routed(request, partial(_route, environ))
        environ[MARKER] = request
        self._answers = answers
        self._environ = environ
        self._start = start_response
        self._pending: tuple[str, Headers, ExcInfo | None] | None = None
        self._write: Callable[[bytes], object] | None = None
        self._length: int | None = None
        self.answered = False
        self.access = Access(request, str(environ.get("REQUEST_METHOD", "")), _path(environ))

    @property
    def head(self) -> bool:
        """Whether the answer has no body, whatever the application returns."""
        return self.access.method == "HEAD"

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """What the application calls. Returns ``write``."""
        if self._pending is not None and exc_info is None:
            raise AssertionError("start_response called a second time without exc_info")
        code = status[:3]
        self.access.status = int(code) if code.isdecimal() else 0
        self.access.route = _route(self._environ)  # now, for Flask takes its request out of the environ again
        self._length = None
        own: Headers = []
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-length" and value.isdecimal():
                self._length = int(value)
            if lowered != "x-request-id":
                own.append((name, value))
        own.append(("X-Request-ID", self.access.request.id))
        self._pending = (status, own, exc_info)
        if self.answered:  # the server knows of an answer already, and judges whether it can be replaced
            self.pass_on()
        return self.write

    def write(self, data: bytes) -> object:
        """The old imperative way to send a body."""
        self.pass_on()
        if self._write is None:
            raise AssertionError("write called before start_response")
        self.sent(data)
        return self._write(data)

    def pass_on(self) -> None:
        """Tell the server what the application has answered, if it does not know yet."""
        if self._pending is not None:
            status, headers, exc_info = self._pending
            self._pending = None
            self.answered = True
            self._write = self._start(status, headers, exc_info) if exc_info else self._start(status, headers)

    def sent(self, data: bytes) -> None:
        """Count a piece of the body."""
        if self.access.size is not None and not self.head:
            self.access.size += len(data)

    def unanswered(self, error: Exception) -> Iterable[bytes]:
        """The application raised instead of returning: a 500 with our id, then the exception, for the server to see."""
        if self.answered or not self._answers:
            self.failed(error)
            raise error
        self._pending = None
        self.start_response("500 Internal Server Error", _PLAIN, (type(error), error, error.__traceback__))
        try:
            self.pass_on()
        except BaseException:  # the client of a test, which wants the exception itself
            self.failed(error)
            raise
        body = b"" if self.head else _UNANSWERED
        self.sent(body)
        self.failed(error)
        return _Unanswered(body, error)

    def file(self, returned: Any) -> Iterable[bytes]:
        """A ``wsgi.file_wrapper`` goes to the server as it is, or it could not use ``sendfile``."""
        self.access.size = 0 if self.head else self._length
        close = getattr(returned, "close", None)

        def end() -> None:
            try:
                if close is not None:
                    close()
            finally:
                self.end(whole=not isinstance(sys.exception(), OSError))

        try:
            returned.close = end
        except AttributeError:  # a server's own type, written in C: nobody tells when it is done
            self.end(whole=True)
        return returned  # type: ignore[no-any-return]

    def failed(self, error: BaseException) -> None:
        """The application raised; there may be no ``close()``."""
        self.access.failure = error
        if not self.answered:
            self.access.status = 500  # by the server
        self._tell()
        self.access.request.end()

    def end(self, whole: bool) -> None:
        """The answer is over; ``whole`` is whether the client has taken all of it."""
        if self.access.request.told:
            self.access.request.end()
            return
        if not whole:
            self.access.client_left()
        self._tell()
        self.access.request.end()
        before = self.access.before
        if before is not None and before.request is not None and before.request.ended is not None:
            before = None  # the thread's last one, which failed
        context.current.set(before)

    def whole(self) -> bool:
        """Whether nothing is missing that was announced, though the server did not ask for the end."""
        return self.head or (self._length is not None and self.access.size == self._length)

    def _tell(self) -> None:
        if not self.access.status and not self.access.reason and self.access.failure is None:
            self.access.reason = "no response"
        handled = self._environ.pop(FAILURE, None)
        if self.access.failure is None and isinstance(handled, BaseException):
            self.access.failure = handled
        self.access.tell()


class Body:
    """The body that the application returned, counted while it passes."""

    __slots__ = ("_exchange", "_exhausted", "_iterator", "_returned")

    def __init__(self, returned: Iterable[bytes], exchange: Exchange) -> None:
        self._returned = returned
        self._exchange = exchange
        self._exhausted = False
        self._iterator: Iterator[bytes] | None = None

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __len__(self) -> int:
        return len(self._returned)  # type: ignore[arg-type]  # a server asks, and is told that there is none

    def __next__(self) -> bytes:
        exchange = self._exchange
        try:
            if self._iterator is None:
                self._iterator = iter(self._returned)
            data = next(self._iterator)
        except StopIteration:
            self._exhausted = True
            exchange.pass_on()
            raise
        except Exception as error:
            if exchange.answered:
                exchange.failed(error)
                raise
            self._iterator = iter(exchange.unanswered(error))
            return next(self._iterator)
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.pass_on()
        exchange.sent(data)
        return data

    def close(self) -> None:
        """The server is done with it; PEP 3333 has it called whatever happened."""
        exchange = self._exchange
        left = isinstance(sys.exception(), OSError)  # what writing to the client has raised in the server
        try:
            _close(self._returned)
        except Exception as error:
            exchange.failed(error)
            raise
        finally:
            exchange.end(whole=not left and (self._exhausted or exchange.whole()))


class _Unanswered:
    """The body of our 500, and after it the exception that was the reason: servers log what iterating raises."""

    __slots__ = ("_body", "_error")

    def __init__(self, body: bytes, error: Exception) -> None:
        self._body: bytes | None = body
        self._error: Exception | None = error

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        body, self._body = self._body, None
        if body is not None:
            return body
        error, self._error = self._error, None
        if error is None:
            raise StopIteration
        raise error


def _close(returned: Iterable[bytes]) -> None:
    close = getattr(returned, "close", None)
    if close is not None:
        close()


def _peer(environ: Environ) -> str | None:
    """The address of the connection's other end, also where Werkzeug's ``ProxyFix`` has put another in its place."""
    replaced = environ.get("werkzeug.proxy_fix.orig")
    found = (replaced if isinstance(replaced, dict) else environ).get("REMOTE_ADDR")
    return None if found is None else str(found)


def _path(environ: Environ) -> str:
    """The path as text: PEP 3333 has bytes in it that were read as Latin-1."""
    path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    try:
        return path.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return path


def _route(environ: Environ) -> str:
    """The template of the route that answered, where the framework leaves it in the environ (Flask and Werkzeug)."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return str(getattr(rule, "rule", "") or "")
