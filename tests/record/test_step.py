"""Steps: spans inside of spans, one event each, whatever ends them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from clusterlog.context import request
from clusterlog.context.request import Request, bind, bound, current, enter, leave
from clusterlog.record.slot import slot
from clusterlog.record.step import step

New = Callable[[str], Request]


def span() -> str:
    """The span that a line said here carries."""
    found = current.get()
    return "" if found is None else found.span_id or (found.request.span_id if found.request else "")


def span_id(said: Any) -> str:
    return str(said.body["span"]["id"])


def parent(said: Any) -> str | None:
    found = said.body.get("clusterlog", {}).get("parent", {}).get("span_id")
    return None if found is None else str(found)


def test_a_step_is_a_child_span_and_tells_one_event_at_its_end(road: Any, new: New) -> None:
    entered = new("r1")
    enter(entered)
    with step("charge card", order=7):
        inside = span()
        assert road.said == []
    (said,) = road.said
    assert (said.dataset, said.logger, said.level) == ("clusterlog.span", "clusterlog.span", logging.INFO)
    assert (said.event, said.fields, said.failure) == ("charge card", {"order": 7}, None)
    assert (span_id(said), parent(said), said.request_id) == (inside, entered.span_id, "r1")
    assert said.scope.span_id == inside
    assert said.body["event"]["outcome"] == "success"
    assert said.body["event"]["duration"] > 0
    assert inside not in ("", entered.span_id)
    assert span() == entered.span_id


def test_a_step_inside_a_step_is_its_child_and_ends_before_it(road: Any, new: New) -> None:
    enter(new("r1"))
    with step("outer"):
        outer = span()
        with step("inner"):
            inner = span()
        with step("second"):
            pass
        assert span() == outer
    assert [each.event for each in road.said] == ["inner", "second", "outer"]
    assert [parent(each) for each in road.said[:2]] == [outer, outer]
    assert span_id(road.said[0]) == inner
    assert len({span_id(each) for each in road.said}) == 3


def test_a_step_that_raises_has_failed_and_lets_the_exception_pass(road: Any, new: New) -> None:
    enter(new("r1"))
    error = KeyError("no such card")
    with pytest.raises(KeyError) as caught, step("charge card"):
        raise error
    (said,) = road.said
    assert caught.value is error
    assert (said.failure, said.level) == (error, logging.ERROR)
    assert said.body["event"]["outcome"] == "failure"


def test_outside_of_any_request_a_step_has_a_span_and_no_parent(road: Any) -> None:
    with step("outer"), step("inner"):
        assert span()
    inner, outer = road.said
    assert (parent(inner), parent(outer)) == (span_id(outer), None)
    assert current.get() is None


def test_before_start_a_step_only_runs_its_block() -> None:
    assert slot.road is None
    with step("charge card"):
        ran = span()
    assert ran
    assert step("charge card")(lambda: 7)() == 7


def test_what_is_bound_before_a_step_holds_inside_and_what_is_bound_inside_holds_after_it(road: Any, new: New) -> None:
    entered = new("r1")
    enter(entered)
    bind(before=1)
    with step("charge card"):
        bind(inside=2, user="alice")
    found = request.scope()
    assert found is not None
    assert (found.labels, found.user) == ({"before": 1, "inside": 2}, "alice")
    assert (span(), found.request) == (entered.span_id, entered)
    assert road.said[0].scope.labels == {"before": 1}


def test_a_step_around_a_request_ends_as_it_began(road: Any, new: New) -> None:
    with step("serve"):
        enter(new("r1"))
    assert current.get() is None
    enter(new("r1"))
    before = current.get()
    with step("forget"):
        leave()
    assert current.get() is before


def test_a_handed_over_scope_stays_so_inside_of_a_step(road: Any, new: New) -> None:
    enter(new("r1"))
    current.set(request.scope().handed(True))
    with step("late"):
        assert current.get().handed_over


def test_a_request_that_is_over_is_not_brought_back_by_a_step(
    road: Any, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "linger", 0.0)
    entered = new("r1")
    enter(entered)
    with step("long"):
        entered.end()
    assert road.said[0].request_id is None


def test_each_call_of_a_decorated_function_is_a_step(road: Any) -> None:
    @step("reserve", stock="main")
    def reserve(item: str, *, count: int = 1) -> tuple[str, int]:
        """Reserve it."""
        return item, count

    assert reserve("cup", count=2) == ("cup", 2)
    assert reserve("pot") == ("pot", 1)
    assert [(each.event, each.fields) for each in road.said] == [("reserve", {"stock": "main"})] * 2
    assert span_id(road.said[0]) != span_id(road.said[1])
    assert (reserve.__name__, reserve.__doc__) == ("reserve", "Reserve it.")


def test_a_decorated_function_may_call_itself(road: Any) -> None:
    @step("down")
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(2) == 2
    spans = [span_id(each) for each in road.said]
    assert [parent(each) for each in road.said] == [spans[1], spans[2], None]


def test_a_decorated_method_gets_its_object(road: Any) -> None:
    class Shop:
        name = "shop"

        @step("open")
        def open(self) -> str:
            return self.name

    assert Shop().open() == "shop"


def test_calls_of_a_decorated_coroutine_function_overlap_without_mixing(road: Any, new: New) -> None:
    enter(new("r1"))

    @step("work")
    async def work() -> tuple[str, str]:
        before = span()
        await asyncio.sleep(0)
        return before, span()

    async def main() -> Any:
        return await asyncio.gather(work(), work(), work())

    assert inspect.iscoroutinefunction(work)
    found = asyncio.run(main())
    assert all(before == after for before, after in found)
    assert len({before for before, _ in found}) == 3
    assert {span_id(each) for each in road.said} == {before for before, _ in found}
    assert {parent(each) for each in road.said} == {"cd" * 8}


def test_a_generators_consumer_is_not_in_its_step(road: Any, new: New) -> None:
    enter(new("r1"))

    @step("read")
    def read() -> Generator[str, str, str]:
        first = span()
        bind(row=1)
        answer = yield first
        assert current.get().labels == {"row": 1}
        yield answer
        yield span()
        return "done"

    def consume() -> Iterator[Any]:
        said = yield from read()
        yield said

    generator = read()
    assert road.said == []
    inside = next(generator)
    assert span() == "cd" * 8
    assert current.get().labels == {}
    assert generator.send("sent") == "sent"
    assert next(generator) == inside
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "done"
    (said,) = road.said
    assert (span_id(said), said.body["event"]["outcome"], parent(said)) == (inside, "success", "cd" * 8)
    assert list(consume())[-1] == "done"


def test_a_generator_that_is_closed_early_has_not_failed_and_is_closed(road: Any) -> None:
    closed: list[str] = []

    @step("read")
    def read() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(span())

    generator = read()
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    (said,) = road.said
    assert closed == [span_id(said)]
    assert said.body["event"]["outcome"] == "success"


def test_what_is_thrown_into_a_generator_arrives_and_what_it_raises_is_its_failure(road: Any) -> None:
    @step("read")
    def read() -> Iterator[str]:
        try:
            yield "first"
        except KeyError:
            yield "caught"
        raise ValueError("at the end")

    generator = read()
    next(generator)
    assert generator.throw(KeyError()) == "caught"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="at the end"):
        next(generator)
    (said,) = road.said
    assert isinstance(said.failure, ValueError)


def test_an_async_generator_is_a_step_from_its_first_value_to_its_end(road: Any, new: New) -> None:
    @step("stream")
    async def stream(n: int) -> AsyncIterator[str]:
        for _ in range(n):
            await asyncio.sleep(0)
            yield span()

    async def main() -> tuple[list[str], list[str]]:
        enter(new("r1"))
        inside, outside = [], []
        async for each in stream(3):
            inside.append(each)
            outside.append(span())
        broken = stream(3)
        await anext(broken)
        await broken.aclose()  # type: ignore[attr-defined]
        failing = stream(3)
        await anext(failing)
        with pytest.raises(KeyError):
            await failing.athrow(KeyError())  # type: ignore[attr-defined]
        return inside, outside

    inside, outside = asyncio.run(main())
    assert len(set(inside)) == 1
    assert set(outside) == {"cd" * 8}
    outcomes = [each.body["event"]["outcome"] for each in road.said]
    assert outcomes == ["success", "success", "failure"]
    assert span_id(road.said[0]) == inside[0]


def test_one_step_may_be_entered_again_inside_of_itself(road: Any) -> None:
    again = step("again")
    with again, bound(deep=1), again:
        assert span()
    inner, outer = road.said
    assert parent(inner) == span_id(outer)
    assert current.get() is None


def test_what_is_thrown_into_an_async_generator_arrives_and_closing_it_closes_what_is_inside(road: Any) -> None:
    closed: list[str] = []

    @step("stream")
    async def stream() -> AsyncIterator[str]:
        try:
            yield "first"
        except KeyError:
            try:
                yield "caught"
            finally:
                await asyncio.sleep(0)
                closed.append(span())

    async def main() -> str:
        generator: Any = stream()
        await anext(generator)
        caught: str = await generator.athrow(KeyError())
        await generator.aclose()
        return caught

    assert asyncio.run(main()) == "caught"
    (said,) = road.said
    assert closed == [span_id(said)]
    assert said.body["event"]["outcome"] == "success"
