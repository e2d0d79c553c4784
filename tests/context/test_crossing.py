"""Requests on their way through threads, tasks, executors and processes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import multiprocessing.pool
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clusterlog.context import crossing, request
from clusterlog.context.crossing import carry
from clusterlog.context.request import Request, Scope, bind, bound, current, enter, leave, request_id

New = Callable[[str], Request]


def in_thread(fn: Callable[[], Any], thread: type[threading.Thread] = threading.Thread) -> list[Any]:
    said: list[Any] = []
    started = thread(target=lambda: said.append(fn()))
    started.start()
    started.join()
    return said


def handed_over() -> bool:
    found = current.get()
    return found is not None and found.handed_over


# Threads


@pytest.mark.usefixtures("carried")
def test_a_thread_works_for_the_request_in_which_it_was_started(new: New) -> None:
    enter(new("r1"))
    assert in_thread(request_id) == ["r1"]


@pytest.mark.usefixtures("carried")
def test_a_thread_started_outside_of_any_request_has_none(new: New) -> None:
    assert in_thread(request_id) == [None]


@pytest.mark.usefixtures("carried")
def test_the_thread_that_starts_another_one_stays_where_it_is(new: New) -> None:
    enter(new("r1"))
    in_thread(lambda: bind(inner=1))
    assert request_id() == "r1"
    assert request.scope().labels == {}


@pytest.mark.usefixtures("carried")
def test_what_was_bound_comes_along_and_annotations_come_back(new: New) -> None:
    entered = new("r1")
    enter(entered)
    with bound(order=7):
        assert in_thread(lambda: (request.annotate(late=1), current.get().labels)[1]) == [{"order": 7}]
    assert entered.facts == {"late": 1}


@pytest.mark.usefixtures("carried")
def test_a_thread_class_with_a_run_of_its_own_is_carried_too(new: New) -> None:
    class Own(threading.Thread):
        said: str | None = ""

        def run(self) -> None:
            Own.said = request_id()

    enter(new("r1"))
    own = Own()
    own.start()
    own.join()
    assert Own.said == "r1"
    assert "run" not in vars(own)


@pytest.mark.usefixtures("carried")
def test_a_run_that_somebody_has_put_on_one_thread_is_run(new: New) -> None:
    said: list[Any] = []
    thread = threading.Thread(target=lambda: said.append("its target"))
    enter(new("r1"))
    vars(thread)["run"] = lambda: said.append(request_id())
    thread.start()
    thread.join()
    assert said == ["r1"]


@pytest.mark.usefixtures("carried")
def test_a_timer_works_for_the_request_in_which_it_was_started(new: New) -> None:
    said: list[Any] = []
    enter(new("r1"))
    timer = threading.Timer(0, lambda: said.append(request_id()))
    timer.start()
    timer.join()
    assert said == ["r1"]


@pytest.mark.usefixtures("carried")
def test_a_thread_that_outlives_its_request_by_more_than_linger_has_none(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "linger", 0.0)
    entered = new("r1")
    over, said = threading.Event(), []
    enter(entered)
    thread = threading.Thread(target=lambda: (said.append(request_id()), over.wait(), said.append(request_id())))
    thread.start()
    leave()
    entered.end()
    over.set()
    thread.join()
    assert said == ["r1", None]


@pytest.mark.usefixtures("carried")
def test_a_thread_started_by_a_job_is_not_handed_over_with_it(new: New) -> None:
    enter(new("r1"))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handed_over).result() is True
        assert pool.submit(in_thread, handed_over).result() == [False]


@pytest.mark.usefixtures("carried")
def test_the_hook_for_uncaught_exceptions_of_a_thread_still_sees_the_request(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: said.append((told.exc_type, request_id())))
    enter(new("r1"))
    in_thread(lambda: 1 // 0)
    assert said == [(ZeroDivisionError, "r1")]


@pytest.mark.usefixtures("carried")
def test_a_thread_that_cannot_be_started_is_left_as_it_was(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "_start_new_thread", refused)
    enter(new("r1"))
    thread = threading.Thread(target=int)
    with pytest.raises(RuntimeError):
        thread.start()
    assert "run" not in vars(thread)


# Executors of threads


@pytest.mark.usefixtures("carried")
def test_each_job_of_a_pool_works_for_the_request_that_submitted_it(new: New) -> None:
    with ThreadPoolExecutor(1) as pool:
        said = []
        for id in ("r1", "r2"):
            enter(new(id))
            said.append(pool.submit(request_id).result())
    assert said == ["r1", "r2"]


@pytest.mark.usefixtures("carried")
def test_a_job_submitted_outside_of_any_request_has_none_on_a_worker_that_served_one(new: New) -> None:
    with ThreadPoolExecutor(1) as pool:
        enter(new("r1"))
        pool.submit(enter, new("left behind")).result()
        leave()
        assert pool.submit(request_id).result() is None


@pytest.mark.usefixtures("carried")
def test_what_a_job_binds_is_gone_after_it(new: New) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(bind, colour="red").result()
        assert pool.submit(current.get).result() is None


@pytest.mark.usefixtures("carried")
def test_a_worker_started_inside_a_request_does_not_carry_it_for_life(new: New) -> None:
    enter(new("r1"))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        crossing.remove()  # what a worker says between jobs is what a job says that nobody wraps
        assert pool.submit(request_id).result() is None


@pytest.mark.usefixtures("carried")
def test_a_job_is_handed_over_and_keeps_its_id_however_late_it_runs(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "linger", 0.0)
    entered = new("r1")
    with ThreadPoolExecutor(1) as pool:
        free = threading.Event()
        pool.submit(free.wait)
        enter(entered)
        late = pool.submit(request_id)
        entered.end()
        free.set()
        assert late.result() == "r1"
    assert request_id() is None


@pytest.mark.usefixtures("carried")
def test_map_and_the_exception_of_a_job_come_back_as_before(new: New) -> None:
    enter(new("r1"))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda n: (n, request_id()), range(3))) == [(0, "r1"), (1, "r1"), (2, "r1")]
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        assert pool.submit(dict, fn=1, self=2).result() == {"fn": 1, "self": 2}


@pytest.mark.usefixtures("carried")
def test_a_callback_of_a_future_works_for_the_request_that_added_it(new: New) -> None:
    said: list[Any] = []
    future: Future[int] = Future()
    enter(new("r1"))
    future.add_done_callback(lambda _: said.append(request_id()))
    leave()
    in_thread(lambda: future.set_result(1))
    assert said == ["r1"]


@pytest.mark.usefixtures("carried")
def test_jobs_and_callbacks_of_a_pool_of_threads_each_carry_their_own_request(new: New) -> None:
    said: list[Any] = []
    enter(new("r0"))
    with multiprocessing.pool.ThreadPool(1) as pool:
        for id in ("r1", "r2"):
            enter(new(id))
            pool.apply_async(lambda: said.append(request_id()), callback=lambda _: said.append(request_id())).get()
            assert pool.map(lambda _: request_id(), [1, 2]) == [id, id]
            assert list(pool.imap(lambda _: request_id(), [1])) == [id]
        leave()
        assert pool.apply(request_id) is None
        pool.close()
        pool.join()
    assert said == ["r1", "r1", "r2", "r2"]


@pytest.mark.usefixtures("carried")
def test_a_worker_of_a_pool_of_threads_does_not_carry_its_makers_request_for_life(new: New) -> None:
    enter(new("r1"))
    with multiprocessing.pool.ThreadPool(1) as pool:
        pool.apply(int)
        crossing.remove()
        assert pool.apply(request_id) is None


# asyncio


@pytest.mark.usefixtures("carried")
def test_tasks_callbacks_and_threads_of_asyncio_carry_the_request(new: New) -> None:
    async def main() -> list[Any]:
        enter(new("r1"))
        loop = asyncio.get_running_loop()
        called: Future[Any] = Future()
        loop.call_soon(lambda: called.set_result(request_id()))
        async with asyncio.TaskGroup() as group:
            grouped = group.create_task(asyncio.to_thread(request_id))
        task = asyncio.create_task(asyncio.sleep(0, None))
        done: Future[Any] = Future()
        task.add_done_callback(lambda _: done.set_result(request_id()))
        await task
        return [
            await asyncio.wrap_future(called),
            grouped.result(),
            await asyncio.wrap_future(done),
            await loop.run_in_executor(None, request_id),
            await asyncio.gather(*(asyncio.to_thread(request_id) for _ in range(2))),
        ]

    assert asyncio.run(main()) == ["r1", "r1", "r1", "r1", ["r1", "r1"]]


@pytest.mark.usefixtures("carried")
def test_two_tasks_of_one_loop_do_not_see_each_others_request(new: New) -> None:
    async def serve(id: str) -> list[Any]:
        enter(new(id))
        said = []
        for _ in range(3):
            await asyncio.sleep(0)
            said.append(await asyncio.to_thread(request_id))
        return said

    async def main() -> list[Any]:
        return list(await asyncio.gather(serve("r1"), serve("r2")))

    assert asyncio.run(main()) == [["r1"] * 3, ["r2"] * 3]


class EachInAThread(concurrent.futures.Executor):
    """An executor that owes nothing to those of the standard library."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: Future[Any] = Future()
        leave()  # as a thread would be that has been there before
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.usefixtures("carried")
def test_run_in_executor_carries_the_request_into_any_executor(new: New) -> None:
    async def main() -> list[Any]:
        said = []
        for executor in (EachInAThread(), ThreadPoolExecutor(1)):
            enter(new("r1"))
            said.append(await asyncio.get_running_loop().run_in_executor(executor, request_id))
            executor.shutdown()
        return said

    assert asyncio.run(main()) == ["r1", "r1"]


@pytest.mark.usefixtures("carried")
def test_a_foreign_executor_that_pickles_gets_a_job_that_needs_nothing_of_ours(new: New) -> None:
    class Pickles(EachInAThread):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            sent = pickle.dumps(fn)
            assert b"clusterlog" not in sent.replace(b"clusterlog.context.request", b"")
            return super().submit(pickle.loads(sent), *args, **kwargs)

    async def main() -> Any:
        enter(new("r1"))
        return await asyncio.get_running_loop().run_in_executor(Pickles(), request_id)

    assert asyncio.run(main()) is None


# carry


def test_a_carried_function_runs_for_the_request_of_the_moment_it_was_carried(new: New) -> None:
    enter(new("r1"))
    work = carry(lambda *args, **kwargs: (request_id(), handed_over(), args, kwargs))
    enter(new("r2"))
    assert work(1, fn=2) == ("r1", True, (1,), {"fn": 2})
    assert request_id() == "r2"


def test_a_carried_function_keeps_its_id_when_the_request_has_long_ended(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "linger", 0.0)
    entered = new("r1")
    enter(entered)
    work = carry(request_id)
    entered.end()
    assert request_id() is None
    assert work() == "r1"


def test_a_carried_coroutine_function_is_one_still_and_runs_for_its_request(new: New) -> None:
    @carry
    async def nobody() -> str | None:
        return request_id()

    async def work() -> tuple[Any, ...]:
        await asyncio.sleep(0)
        bind(inner=1)
        return request_id(), handed_over()

    enter(new("r1"))
    carried = carry(work)
    leave()
    assert inspect.iscoroutinefunction(carried)

    async def main() -> tuple[Any, ...]:
        return await carried(), await nobody(), current.get()

    assert asyncio.run(main()) == (("r1", True), None, None)


def test_a_carried_object_with_an_async_call_is_carried_as_a_coroutine_function(new: New) -> None:
    class Work:
        async def __call__(self) -> str | None:
            await asyncio.sleep(0)
            return request_id()

    enter(new("r1"))
    carried = carry(Work().__call__), carry(Work())
    leave()

    async def main() -> list[Any]:
        return [await each() for each in carried]

    assert asyncio.run(main()) == ["r1", "r1"]


def test_carry_can_decorate_and_keeps_the_functions_face(new: New) -> None:
    enter(new("r1"))

    @carry
    def work() -> str | None:
        """What it does."""
        return request_id()

    leave()
    assert (work.__name__, work.__doc__) == ("work", "What it does.")
    assert str(inspect.signature(work)) == "() -> 'str | None'"
    assert work() == "r1"


def test_outside_of_any_request_carry_gives_the_function_itself() -> None:
    assert carry(request_id) is request_id


def test_a_carried_function_takes_ids_and_plain_facts_through_pickle_and_leaves_objects(new: New) -> None:
    entered = Request(
        "r1", "ab" * 16, "cd" * 8, parent_span_id="ef" * 8, sampled=False, tracestate="a=1", session="s", started_ns=5
    )
    enter(entered)
    request.annotate(user="alice", tenant=3, connection=threading.Lock())
    bind(order=7, held=threading.Lock())
    carried = carry(request.scope)
    leave()
    scope = pickle.loads(pickle.dumps(carried))()
    assert isinstance(scope, Scope)
    arrived = scope.request
    assert arrived is not None
    assert arrived is not entered
    ids = {name: getattr(arrived, name) for name in crossing._IDS}
    assert ids == {name: getattr(entered, name) for name in crossing._IDS}
    assert (arrived.user, arrived.facts, scope.labels, scope.handed_over) == (
        "alice",
        {"tenant": 3},
        {"order": 7},
        True,
    )


def test_a_carried_function_can_be_passed_on_from_process_to_process(new: New) -> None:
    enter(new("r1"))
    carried = carry(request_id)
    leave()
    for _ in range(3):
        carried = pickle.loads(pickle.dumps(carried))
    assert carried() == "r1"
    assert carried.__name__ == "request_id"


def test_a_coroutine_that_is_dropped_half_way_leaves_whoever_drops_it_alone(new: New) -> None:
    """Its ``finally`` runs in the context of the garbage collector's victim."""

    async def work() -> None:
        await asyncio.sleep(3600)

    async def main() -> list[Any]:
        enter(new("r1"))
        carried = carry(work)
        leave()
        started = asyncio.create_task(carried())
        await asyncio.sleep(0)
        coroutine = started.get_coro()
        enter(new("r2"))
        coroutine.close()
        said = [request_id()]
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        return [*said, request_id()]

    assert asyncio.run(main()) == ["r2", "r2"]


# Coming and going


def test_everything_that_is_replaced_is_named_and_put_back() -> None:
    before = (threading.Thread.start, ThreadPoolExecutor.submit, asyncio.BaseEventLoop.run_in_executor)
    crossing.install()
    crossing.install()
    named = crossing.installed()
    assert {"threading:Thread.start", "multiprocessing.process:BaseProcess.start"} <= set(named)
    assert threading.Thread.start is not before[0]
    crossing.remove()
    crossing.remove()
    assert crossing.installed() == ()
    assert (threading.Thread.start, ThreadPoolExecutor.submit, asyncio.BaseEventLoop.run_in_executor) == before


@pytest.mark.usefixtures("carried")
def test_only_our_own_variable_is_carried(new: New) -> None:
    import contextvars

    theirs: contextvars.ContextVar[int] = contextvars.ContextVar("theirs", default=0)
    theirs.set(1)
    enter(new("r1"))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(theirs.get).result() == 0
    assert in_thread(theirs.get) == [0]


# Processes


PROCESSES = """
import json, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from clusterlog.context import crossing, request
from clusterlog.context.request import Request, enter, leave, request_id

def new(id):
    return Request(id, "ab" * 16, "cd" * 8)

def said(_=None):
    found = request.scope()
    return None if found is None else [found.request.id, found.request.facts, found.labels, found.handed_over]

def spoil(id):
    enter(new(id))

def tell(queue):
    queue.put(said())

class Own(multiprocessing.Process):
    pass

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    crossing.install()
    result = {}
    enter(new("r1"))
    request.annotate(tenant=3)
    request.bind(order=7)
    with ProcessPoolExecutor(1) as pool:
        result["executor"] = [pool.submit(said).result()]
        enter(new("r2"))
        result["executor"] += [pool.submit(said).result(), *pool.map(said, [1])]
        pool.submit(spoil, "left behind").result()
        leave()
        result["executor"].append(pool.submit(said).result())
    enter(new("r3"))
    with multiprocessing.Pool(1) as pool:
        result["pool"] = [pool.apply(said), pool.map(said, [1])[0], next(pool.imap_unordered(said, [1]))]
        pool.apply_async(spoil, ("left behind",)).get()
        leave()
        result["pool"].append(pool.apply(said))
        pool.close()
        pool.join()
    queue = multiprocessing.get_context(sys.argv[1]).SimpleQueue()
    enter(new("r4"))
    process = multiprocessing.Process(target=tell, args=(queue,))
    process.start()
    result["process"] = [queue.get(), "run" in vars(process)]
    process.join()
    leave()
    process = multiprocessing.Process(target=tell, args=(queue,))
    process.start()
    result["process"].append(queue.get())
    process.join()
    print(json.dumps(result))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_job_in_another_process_carries_its_own_request_however_processes_are_made(
    method: str, program: Callable[..., Any]
) -> None:
    """Also where the worker was made inside the first request, and where a job has left something behind."""
    found = program(PROCESSES, method)
    second = ["r2", {}, {}, True]
    assert found["executor"] == [["r1", {"tenant": 3}, {"order": 7}, True], second, second, None]
    assert found["pool"] == [["r3", {}, {}, True]] * 3 + [None]
    assert found["process"] == [["r4", {}, {}, True], False, None]


LATE = """
import json, sys
from clusterlog.context import crossing
from clusterlog.context.request import Request, enter, request_id
crossing.install()
early = [name for name in ("multiprocessing.process", "concurrent.futures.process") if name in sys.modules]
named = crossing.installed()
watching = len(sys.meta_path)
from concurrent.futures import ProcessPoolExecutor
import multiprocessing.pool

if __name__ == "__main__":
    enter(Request("r1", "ab" * 16, "cd" * 8))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        said = pool.submit(request_id).result()
    crossing.remove()
    restored = "crossing" not in ProcessPoolExecutor.submit.__code__.co_filename
    watched = [type(each).__name__ for each in sys.meta_path]
    print(json.dumps([early, len(named), said, restored, "_Watch" in watched]))
"""


def test_modules_that_nobody_has_imported_are_not_imported_and_patched_when_they_are(
    program: Callable[..., Any],
) -> None:
    """``multiprocessing`` alone makes every record of ``logging`` dearer."""
    assert program(LATE) == [[], len(crossing._PATCHES), "r1", True, False]


ENDS = """
import json, multiprocessing, os, sys
from clusterlog.context import crossing

def child(fd, installs):
    if installs:
        crossing.at_process_exit = lambda: os.write(fd, b"ends ")
        crossing.install()
    os.write(fd, b"works ")

def run(method, fd, installs):
    process = multiprocessing.get_context(method).Process(target=child, args=(fd, installs))
    process.start()
    process.join()

if __name__ == "__main__":
    fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    crossing.at_process_exit = lambda: os.write(fd, b"ends ")
    crossing.install()
    run("fork", fd, False)
    crossing.remove()
    run("fork", fd, False)
    run("fork", fd, True)
    print(json.dumps(open(sys.argv[1]).read().split()))
"""


def test_a_forked_child_ends_without_atexit_but_not_without_saying_so(
    program: Callable[..., Any], tmp_path: Path
) -> None:
    """Also one that has installed only after its fork."""
    assert program(ENDS, str(tmp_path / "said")) == ["works", "ends", "works", "works", "ends"]
