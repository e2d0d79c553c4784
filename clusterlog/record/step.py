"""A timed piece of work: a span of its own inside the request, and one event at its end."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import Token
from functools import wraps
from time import perf_counter_ns
from types import TracebackType
from typing import Any, TypeVar, cast

from clusterlog.context import ids, tracing
from clusterlog.context.innermost import here
from clusterlog.context.request import NOTHING, Scope, current, restore, scope, within
from clusterlog.context.tracing import Known
from clusterlog.record.slot import slot

DATASET = "clusterlog.span"
"""The dataset of the events, and the logger they name."""

F = TypeVar("F", bound=Callable[..., Any])


class step:  # noqa: N801 - a context manager and a decorator, as the standard library writes them
    """A timed block, or a function each call of which is one.

    Lines inside carry a span id of the step's own. At its end one event tells the name, the duration, whether it
    succeeded, the exception if it did not (which passes on), and ``fields`` as labels. ``async def`` functions and
    generators can be decorated as well; a generator's step lasts from its first value to its end, and does not
    include what its consumer says between values. Works outside of any request, and before ``start`` only runs
    the block. Where OpenTelemetry is joined a step is a span of its as well, with the same ids.

        with clusterlog.step("charge card", order=7): ...

        @clusterlog.step("reserve stock")
        def reserve(item): ...
    """

    def __init__(self, name: str, /, **fields: Any) -> None:
        self._name = name
        self._fields = fields
        self._entered: list[tuple[_Span, Token[Scope | None]]] = []

    def __enter__(self) -> None:
        span = _Span(self._name, self._fields)
        self._entered.append((span, span.entered()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        span, token = self._entered.pop()
        span.end(error)
        span.left(token)

    def __call__(self, fn: F) -> F:
        """Decorate ``fn``: each call is a step, also when calls overlap."""
        import inspect

        if inspect.isasyncgenfunction(fn):
            make: Callable[..., Any] = self._async_generator
        elif inspect.isgeneratorfunction(fn):
            make = self._generator
        elif inspect.iscoroutinefunction(fn):
            make = self._coroutine
        else:
            make = self._function
        return cast("F", wraps(fn)(make(fn)))

    def _again(self) -> step:
        return step(self._name, **self._fields)

    def _function(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return fn(*args, **kwargs)

        return stepped

    def _coroutine(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        async def stepped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return await fn(*args, **kwargs)

        return stepped

    def _generator(self, fn: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            span = _Span(self._name, self._fields)
            inner = fn(*args, **kwargs)
            with span.until_its_end():
                resume, value = inner.send, None
                while True:
                    with span.resumed():
                        try:
                            said = resume(value)
                        except StopIteration as end:
                            return end.value
                    try:
                        resume, value = inner.send, (yield said)
                    except GeneratorExit:
                        with span.resumed():
                            inner.close()
                        raise
                    except BaseException as error:
                        resume, value = inner.throw, error

        return stepped

    def _async_generator(self, fn: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
        async def stepped(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            span = _Span(self._name, self._fields)
            inner = fn(*args, **kwargs)
            with span.until_its_end():
                resume, value = inner.asend, None
                while True:
                    with span.resumed():
                        try:
                            said = await resume(value)
                        except StopAsyncIteration:
                            return
                    try:
                        resume, value = inner.asend, (yield said)
                    except GeneratorExit:
                        with span.resumed():
                            await inner.aclose()
                        raise
                    except BaseException as error:
                        resume, value = inner.athrow, error

        return stepped


class _Span:
    """One run of a step: its scope, and the event at its end. ``opened`` is what it is to another tracer, if anything.

    The other tracer's span is ended and left without a token: a generator may go on in another context, where a token
    is of no use.
    """

    __slots__ = ("_began_ns", "_fields", "_name", "_opened", "_outer", "_parent", "scope")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        outer = here()
        tracer = tracing.joined
        self._opened = opened = None if tracer is None else tracer.begin(name, fields)
        self._name = name
        self._fields = fields
        self._outer = scope()
        self._parent = "" if outer is None else outer.own_span or outer.parent
        self.scope = Scope(
            None if outer is None else outer.request,
            NOTHING if outer is None else outer.labels,
            span_id=ids.new_span_id() if opened is None else opened.ids.span_id,
            user=None if outer is None else outer.user,
            handed_over=outer is not None and outer.handed_over,
            outer=tracing.active_span() if opened is None else "",
            traced=None if outer is None else outer.traced if opened is None else opened.ids,
        )
        self._began_ns = perf_counter_ns()

    def entered(self) -> Token[Scope | None]:
        """In the step's scope, and its span, from here on."""
        if self._opened is not None:
            self._opened.enter()
        return current.set(self.scope)

    def left(self, token: Token[Scope | None]) -> None:
        """Out of the step's span again; what was bound inside stays bound, as it would without a step."""
        now = current.get()
        restore(token, self.scope)
        if now is not None and now is not self.scope and now.span_id == self.scope.span_id:
            current.set(within(self._outer, now.request, now.labels, now.user, now.handed_over))
        if self._opened is not None:
            self._opened.leave()

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """In the step's scope for as long as a generator runs; what it binds is its own."""
        token = self.entered()
        try:
            yield
        finally:
            now = current.get()
            restore(token, self.scope)
            if now is not None and now.span_id == self.scope.span_id:
                self.scope = now
            if self._opened is not None:
                self._opened.leave()

    @contextmanager
    def until_its_end(self) -> Iterator[None]:
        """Tell the event when the block ends, whatever ends it."""
        try:
            yield
        except BaseException as error:
            self.end(error)
            raise
        self.end(None)

    def end(self, error: BaseException | None) -> None:
        """Tell the event. A generator that nobody wants more of has not failed."""
        if isinstance(error, GeneratorExit):
            error = None
        took_ns = perf_counter_ns() - self._began_ns
        known = Known() if self._opened is None else self._opened.end(error)
        road = slot.road
        if road is None:
            return
        body: dict[str, Any] = {
            "event": {"duration": took_ns, "outcome": "success" if error is None else "failure"},
            "span": {"id": self.scope.span_id},
        }
        if self._parent:
            body["clusterlog"] = {"parent": {"span_id": self._parent}}
        if self.scope.traced is not None:
            body["trace"] = {"id": self.scope.traced.trace_id}
        level = logging.INFO if error is None else logging.ERROR
        said = None if self.scope.over() else self.scope
        labels = {**known.labels, **self._fields}
        body = known.added_to(body, error=False)
        road.document(DATASET, level, DATASET, self._name, body, labels=labels, failure=error, scope=said)
