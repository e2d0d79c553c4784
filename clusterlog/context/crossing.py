"""The way of a request into other threads and other processes.

Tasks and callbacks of asyncio take their context along by themselves. Threads, executors and processes do not; here
what is started or submitted takes our one context variable with it, and nothing of anybody else's: of another tracer's
span, where one is joined, the ids. Other processes are told ids and plain facts, never objects.

A thread that was merely started inside a request carries it as long as ``linger`` says. What was submitted to an
executor, started as a process or wrapped with ``carry`` was handed over, and carries it to its own end. The standard
library's own threads and workers serve everybody, and carry nobody's request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from functools import partial, update_wrapper, wraps
from typing import Any, ParamSpec, TypeVar, cast

from clusterlog.context import request as requests
from clusterlog.context.innermost import here
from clusterlog.context.patching import Patch, wait_no_more, when_imported
from clusterlog.context.request import Request, Scope, current, restore
from clusterlog.context.tracing import SpanIds

P = ParamSpec("P")
R = TypeVar("R")

at_process_exit: Callable[[], None] | None = None
"""Called last in a child of ``multiprocessing``, which may end without ``atexit``; put here by ``start``."""

_LAST = -1000
_SERVING = frozenset({"concurrent", "multiprocessing", "logging"})
_IDS = (
    "id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "sampled",
    "tracestate",
    "client_request_id",
    "client_trace_id",
    "session",
    "started_ns",
)
_PLAIN = frozenset({str, int, float, bool, type(None)})


def carry(fn: Callable[P, R]) -> Callable[P, R]:
    """A callable that runs ``fn`` for the request of now, wherever and whenever it is called.

    The request is handed over explicitly: it is carried also when it has long ended. ``fn`` is a function, or an
    ``async def`` function; a function of a module stays picklable, and takes its ids into other processes. Outside of
    any request there is nothing to carry, and ``fn`` itself comes back.

        pool.submit(clusterlog.carry(work), item)
    """
    found = here()
    if found is None:
        return fn
    handed = found.handed(True)
    if _is_coroutine_function(fn):
        return cast("Callable[P, R]", _carried_coroutine(fn, handed))
    return cast("Callable[P, R]", Carried(fn, handed))


class Job:
    """A call that runs in its own scope, or in none, whatever the thread or process was left with that runs it."""

    __slots__ = ("fn", "scope")

    def __init__(self, fn: Callable[..., Any], scope: Scope | None) -> None:
        self.fn = fn
        self.scope = scope

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and leave the thread as it was."""
        token = current.set(self.scope)
        try:
            return self.fn(*args, **kwargs)
        finally:
            restore(token, self.scope)

    def __reduce__(self) -> tuple[Any, ...]:
        return _job_arrived, (type(self), self.fn, _told(self.scope))


class Carried(Job):
    """A ``Job`` that looks like the function it calls."""

    def __init__(self, fn: Callable[..., Any], scope: Scope | None) -> None:
        super().__init__(fn, scope)
        update_wrapper(self, fn)


class LocalJob(Job):
    """A ``Job`` that leaves its scope behind where it is pickled: who unpickles it may never have heard of us."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (self.fn,)


def _carried_coroutine(fn: Callable[..., Any], handed: Scope) -> Callable[..., Any]:
    @wraps(fn)
    async def carried(*args: Any, **kwargs: Any) -> Any:
        token = current.set(handed)
        try:
            return await fn(*args, **kwargs)
        finally:
            restore(token, handed)

    return carried


def _is_coroutine_function(fn: Any) -> bool:
    from inspect import iscoroutinefunction

    return iscoroutinefunction(fn) or iscoroutinefunction(type(fn).__call__)


def _told(scope: Scope | None) -> dict[str, Any] | None:
    """A scope for another process: ids, and of labels and facts those that are plain values."""
    if scope is None:
        return None
    request = scope.request
    return {
        "request": None if request is None else {name: getattr(request, name) for name in _IDS},
        "facts": {} if request is None else _plain(request.facts),
        "known": None if request is None else request.user,
        "labels": _plain(scope.labels),
        "span_id": scope.span_id,
        "user": scope.user,
        "traced": None if scope.traced is None else astuple(scope.traced),
        "parent": scope.parent,
        "debug": requests.watching.token(scope) if requests.watching is not None else "",
    }


def _plain(fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if type(value) in _PLAIN}


def _heard(told: dict[str, Any] | None) -> Scope | None:
    if told is None:
        return None
    request = None
    if told["request"] is not None:
        request = Request(**told["request"])
        request.facts = told["facts"]
        request.user = told["known"]
        request.ours = False  # whoever has told it of this process may have told it of others
        if told["debug"] and requests.watching is not None:
            requests.watching.arrived(request, (told["debug"],))
    return Scope(
        request,
        told["labels"],
        span_id=told["span_id"],
        user=told["user"],
        handed_over=True,
        traced=None if told["traced"] is None else SpanIds(*told["traced"]),
        parent=told["parent"],
    )


def _job_arrived(kind: type[Job], fn: Callable[..., Any], told: dict[str, Any] | None) -> Job:
    return kind(fn, _heard(told))


class _Run:
    """Stands for the ``run`` of one thread or process until it runs: also where a subclass has a ``run`` of its own.

    The scope stays to the end, for the hook that is told of an uncaught exception comes after ``run``.
    """

    __slots__ = ("before", "owner", "scope")

    def __init__(self, owner: Any, scope: Scope | None, before: Any = None) -> None:
        self.owner = owner
        self.scope = scope
        self.before = before

    def __call__(self) -> None:
        """Enter the scope and run what was to run."""
        self.step_aside()
        current.set(self.scope)
        self.owner.run()

    def step_aside(self) -> None:
        """Give its place back to the ``run`` it stands for."""
        members = vars(self.owner)
        if members.get("run") is self:
            del members["run"]
            if self.before is not None:
                members["run"] = self.before

    def __reduce__(self) -> tuple[Any, ...]:
        return _run_arrived, (self.owner, _told(self.scope), self.before)


def _run_arrived(owner: Any, told: dict[str, Any] | None, before: Any) -> _Run:
    return _Run(owner, _heard(told), before)


def _serves_all(started: Any) -> bool:
    """Whether a thread or process runs an inner part of the standard library: a worker, a feeder, a listener."""
    target = getattr(started, "_target", None) or type(started).run
    module = str(getattr(target, "__module__", ""))
    name = str(getattr(target, "__qualname__", ""))
    inner = name.startswith("_") or "._" in name or (module, name) == ("multiprocessing.pool", "worker")
    return inner and module.partition(".")[0] in _SERVING


def _starting(process: bool) -> Callable[[Patch], Any]:
    """``Process.start``, which hands over explicitly, and ``Thread.start``, which does not."""

    def make(patch: Patch) -> Any:
        original = patch.original

        @wraps(original)
        def start(self: Any) -> None:
            found = here() if patch.on else None
            if found is None or _serves_all(self):
                original(self)
                return
            run = _Run(self, found.handed(process), vars(self).get("run"))
            self.run = run
            try:
                original(self)
            except BaseException:
                run.step_aside()
                raise
            if process:  # the child has its own copy; a thread may not have run yet, and steps aside by itself
                run.step_aside()

        return start

    return make


def _submitting(patch: Patch) -> Any:
    """``submit`` of the executors: outside of any request too, for a worker may have been left with one."""
    original = patch.original

    @wraps(original)
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return original(self, _job(fn) if patch.on else fn, *args, **kwargs)

    return submit


def _pooling(patch: Patch) -> Any:
    """The methods of ``multiprocessing.Pool`` that take a function; what they call back comes from its own thread."""
    original = patch.original

    @wraps(original)
    def pooled(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        if patch.on:
            func = _job(func)
            for name in ("callback", "error_callback"):
                if kwargs.get(name) is not None:
                    kwargs[name] = _job(kwargs[name])
        return original(self, func, *args, **kwargs)

    return pooled


def _calling_back(patch: Patch) -> Any:
    """``concurrent.futures.Future.add_done_callback``: called in the thread that has the result."""
    original = patch.original

    @wraps(original)
    def add_done_callback(self: Any, fn: Any) -> None:
        original(self, fn if not patch.on or here() is None else _job(fn))

    return add_done_callback


def _running_in_executor(patch: Patch) -> Any:
    """``loop.run_in_executor`` with an executor whose ``submit`` may be none of ours."""
    original = patch.original

    @wraps(original)
    def run_in_executor(self: Any, executor: Any, func: Any, *args: Any) -> Any:
        found = here() if patch.on and executor is not None else None
        job = func if found is None else LocalJob(func, found.handed(True))
        return original(self, executor, job, *args)

    return run_in_executor


def _job(fn: Any) -> Job:
    found = here()
    return Job(fn, None if found is None else found.handed(True))


_POOL_METHODS = ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")
_PATCHES = (
    Patch("threading:Thread.start", _starting(process=False)),
    Patch("concurrent.futures.thread:ThreadPoolExecutor.submit", _submitting),
    Patch("concurrent.futures.process:ProcessPoolExecutor.submit", _submitting),
    Patch("concurrent.futures._base:Future.add_done_callback", _calling_back),
    Patch("asyncio.base_events:BaseEventLoop.run_in_executor", _running_in_executor),
    Patch("multiprocessing.process:BaseProcess.start", _starting(process=True)),
    *(Patch(f"multiprocessing.pool:Pool.{name}", _pooling) for name in _POOL_METHODS),
)


def install() -> None:
    """Carry requests over threads, executors and processes from here on. Idempotent."""
    for patch in _PATCHES:
        patch.install()
    when_imported("multiprocessing.util", _watch_children)


def remove() -> None:
    """Take back all that ``install`` replaced. Idempotent."""
    global _children
    for patch in _PATCHES:
        patch.remove()
    wait_no_more("multiprocessing.util", _watch_children)
    _children = None


def installed() -> tuple[str, ...]:
    """What is replaced, or will be when its module is imported, by name."""
    return tuple(patch.target for patch in _PATCHES if patch.on)


class _Children:
    """What ``multiprocessing`` remembers weakly: as long as it lives, children are told to call ``at_process_exit``."""


_children: _Children | None = None


def _watch_children(util: Any) -> None:
    """Children that were forked end by ``os._exit``, without ``atexit``, but not without ``util``'s finalizers."""
    global _children
    if _children is not None:
        return
    _children = _Children()

    def finalize(_: object = None) -> None:
        util.Finalize(None, _process_ends, exitpriority=_LAST)

    util.register_after_fork(_children, finalize)
    if util.process.parent_process() is not None:  # this is such a child, started before it knew of us
        finalize()


def _process_ends() -> None:
    if at_process_exit is not None:
        at_process_exit()
