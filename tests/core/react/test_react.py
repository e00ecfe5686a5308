"""What is Python's own of the reactive engine: tasks, contexts, clean-up, memory, dictionaries."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from limen.core.react import ABSENT, Change, Computed, Cycle, ReactiveDict, Value, batch, effect, untracked


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_computed_value_only_reads() -> None:
    a = Value(1, name="a")
    data = ReactiveDict(x=1)
    for write in (lambda: setattr(a, "value", 2), lambda: data.update(x=2), lambda: effect(lambda: None)):
        with pytest.raises(RuntimeError, match="only reads"):
            Computed(write).value  # noqa: B018
    assert (a.value, dict(data)) == (1, {"x": 1})


def test_a_circle_that_opens_again_is_forgotten_by_all() -> None:
    on = Value(True)
    x: Computed[int] = Computed(lambda: y.value if on.value else 7, name="x")
    y: Computed[int] = Computed(lambda: x.value + 1, name="y")
    with pytest.raises(Cycle, match="x → y → x"):
        x.value  # noqa: B018
    on.value = False
    assert (y.value, x.value) == (8, 7)


def test_a_circle_that_is_deep_is_one() -> None:
    calls: list[None] = []
    first: Computed[int] = Computed(lambda: calls.append(None) or last.value, name="first")
    last = first
    for _ in range(10_000):
        last = Computed(lambda above=last: above.value + 1, name="step")
    for _ in range(2):
        with pytest.raises(Cycle, match="step → step"):
            last.value  # noqa: B018
    with pytest.raises(Cycle):
        effect(lambda: last.value)
    assert len(calls) <= 6  # each time round once, and begun again
    assert not last._targets
    assert Computed(lambda: 1).value == 1


def test_equal_values_of_another_type_are_another_value() -> None:
    saw: list[Any] = []
    a = Value[Any](1)
    stop = effect(lambda: saw.append(a.value))
    for new in (1, True, 1.0, (1,), (1,)):
        a.value = new
    stop()
    assert [repr(value) for value in saw] == ["1", "True", "1.0", "(1,)"]


def test_the_errors_of_several_effects_come_together() -> None:
    a = Value(0)
    stops = [effect(lambda: 1 // (1 - a.value)), effect(lambda: [][a.value - 1] if a.value else None)]
    with pytest.raises(ExceptionGroup) as failed:
        a.value = 1
    assert [type(error) for error in failed.value.exceptions] == [ZeroDivisionError, IndexError]
    for stop in stops:
        stop()


def test_the_clean_up_comes_before_the_next_run_and_at_the_end() -> None:
    a, said = Value(1), []

    def run() -> Any:
        seen = a.value
        said.append(f"run {seen}")
        return lambda: said.append(f"clean {seen}")

    stop = effect(run)
    a.value = 2
    stop()
    stop()
    assert said == ["run 1", "clean 1", "run 2", "clean 2"]


def test_an_unwatched_computed_value_is_held_by_nobody() -> None:
    a = Value(1)
    double = Computed(lambda: a.value * 2)
    stop = effect(lambda: double.value)
    stop()
    gone = weakref.ref(double)
    double, stop = None, None  # type: ignore[assignment]
    gc.collect()
    assert gone() is None
    assert not a._targets


def test_what_is_not_read_any_more_is_let_go() -> None:
    on, a = Value(True), Value(1)
    computed = Computed(lambda: a.value if on.value else 0)
    stops = [effect(lambda: computed.value), effect(lambda: a.value if on.value else 0)]
    assert len(a._targets) == 2
    on.value = False
    assert not a._targets
    for stop in stops:
        stop()


def test_what_is_read_in_the_place_of_something_else_lets_that_go() -> None:
    on, a, b = Value(True), Value(1), Value(2)
    twice = [Computed(lambda source=source: source.value * 2) for source in (a, b)]
    computed = Computed(lambda: a.value if on.value else b.value)
    stops = [effect(lambda: computed.value), effect(lambda: (twice[0] if on.value else twice[1]).value)]
    assert (len(a._targets), len(b._targets)) == (2, 0)
    on.value = False
    assert (len(a._targets), len(b._targets)) == (0, 2)
    for stop in stops:
        stop()


def test_what_is_read_in_another_order_and_twice_is_followed_and_let_go_once() -> None:
    turn, a, b, c, runs = Value(0), Value(1), Value(2), Value(3), []
    orders = [(a, b, c), (c, b, a), (b, b, a, b), (c,), (a, c, a, b, b)]

    def run() -> None:
        runs.append([source.value for source in orders[turn.value]])

    stop = effect(run)
    for turn.value, order in enumerate(orders):
        assert [bool(source._targets) for source in (a, b, c)] == [source in order for source in (a, b, c)]
        for source in order:
            runs.clear()
            source.value += 1
            assert runs == [[source.value for source in order]]
    stop()
    assert not any(source._targets for source in (turn, a, b, c))


def test_what_is_let_go_is_not_held() -> None:
    on, a = Value(True), Value(1)
    stop = effect(lambda: (on.value and a.value) and None)
    gone = weakref.ref(a)
    on.value = False
    a = Value(2)  # the cell of the function holds that one now
    assert gone() is None
    stop()


def test_a_computed_value_that_was_given_up_half_way_is_still_told_of_all_it_read_before() -> None:
    class Interrupt(BaseException):
        """No error of the function's."""

    a, b, saw = Value(1), Value(2), []

    def compute() -> int:
        if a.value == 2:
            raise Interrupt
        return a.value + b.value

    total = Computed(compute)
    stop = effect(lambda: saw.append(total.value))
    for source, new in ((a, 2), (b, 3)):
        with pytest.raises(Interrupt):
            source.value = new
    a.value = 1
    stop()
    assert saw == [3, 4]
    assert not any(source._targets for source in (a, b))


def test_a_circle_that_opens_in_the_batch_in_which_it_was_read_is_told() -> None:
    on, saw = Value(1), []
    x: Computed[int] = Computed(lambda: y.value if on.value else 7, name="x")
    y: Computed[int] = Computed(lambda: x.value + 1, name="y")

    def read() -> Any:
        try:
            return x.value
        except Cycle:
            return "circle"

    stops = [effect(read)]
    with batch():
        on.value = 2
        stops.append(effect(lambda: saw.append(read())))
        on.value = 0
    for stop in stops:
        stop()
    assert saw == ["circle", 7]


async def test_what_an_async_effect_has_not_read_yet_does_not_call_it_off() -> None:
    a, b, gate, saw = Value(1), Value(1), asyncio.Event(), []

    async def run() -> None:
        first = a.value
        await gate.wait()
        saw.append((first, b.value))

    stop = effect(run)
    gate.set()
    await turns()
    gate.clear()
    a.value = 2
    await turns()
    b.value = 3  # the run under way will see it
    await turns()
    gate.set()
    await turns()
    stop()
    assert saw == [(1, 1), (2, 3)]


async def test_what_an_async_effect_does_not_read_any_more_is_let_go() -> None:
    on, a = Value(True), Value(1)

    async def run() -> int:
        return a.value if on.value else 0

    stop = effect(run)
    await turns()
    assert len(a._targets) == 1
    on.value = False
    await turns()
    assert not a._targets
    stop()


async def test_reads_of_a_task_that_an_effect_started_are_not_the_effect_s() -> None:
    a, b, runs = Value(1), Value(1), []
    tasks = []

    async def later() -> int:
        await asyncio.sleep(0)
        return b.value

    def run() -> None:
        runs.append(a.value)
        tasks.append(asyncio.create_task(later()))

    stop = effect(run)
    await asyncio.gather(*tasks)
    b.value = 2
    assert runs == [1]
    stop()


async def test_a_batch_of_one_task_does_not_keep_back_another_s() -> None:
    a, b, saw = Value(1), Value(1), []
    total = Computed(lambda: a.value + b.value)
    stop = effect(lambda: saw.append(total.value))
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        with batch():
            a.value = 10
            inside.set()
            await go_on.wait()

    task = asyncio.create_task(slow())
    await inside.wait()
    b.value = 2
    assert saw == [2, 12]
    go_on.set()
    await task
    assert saw == [2, 12]
    stop()


async def test_what_an_async_effect_reads_after_an_await_counts() -> None:
    a, saw = Value(1), []

    async def run() -> None:
        await asyncio.sleep(0)
        saw.append(a.value)

    stop = effect(run)
    await turns()
    a.value = 2
    await turns()
    stop()
    a.value = 3
    await turns()
    assert saw == [1, 2]


async def test_an_async_effect_that_ends_itself_goes_on_to_its_end() -> None:
    a, saw = Value(1), []

    async def run() -> None:
        saw.append(a.value)
        stop()
        await asyncio.sleep(0)
        saw.append("end")

    stop = effect(run)
    await turns()
    a.value = 2
    await turns()
    assert saw == [1, "end"]
    assert not a._targets


async def test_the_errors_of_an_async_effect_are_told_and_it_lives_on() -> None:
    a, failures, saw = Value(0), [], []

    async def run() -> None:
        saw.append(1 // a.value)

    stop = effect(run, failed=failures.append)
    await turns()
    a.value = 1
    await turns()
    stop()
    assert ([type(error) for error in failures], saw) == ([ZeroDivisionError], [1])


def test_a_dictionary_tells_one_change_for_each_key_and_batch() -> None:
    data = ReactiveDict(a=1, b=2)
    told: list[tuple[Change, ...]] = []
    undo = data.watch(told.append)
    data["c"] = 3
    data.update(a=5, b=2)
    with batch():
        del data["a"]
        data["a"] = 5
        data["b"] = 3
        data["b"] = 4
    with pytest.raises(KeyError):
        del data["nobody"]
    assert data.pop("c") == 3
    data.clear()
    undo()
    data["late"] = 1
    assert [[tuple(change) for change in changes] for changes in told] == [
        [("c", ABSENT, 3)],
        [("a", 1, 5)],
        [("b", 2, 4)],
        [("c", 3, ABSENT)],
        [("b", 4, ABSENT), ("a", 5, ABSENT)],
    ]
    assert [change.kind for changes in told for change in changes] == ["added", *["changed"] * 2, *["removed"] * 3]


def test_who_reads_a_key_follows_that_key_alone_absent_or_not() -> None:
    data = ReactiveDict(a=1)
    saw: list[Any] = []
    stops = [
        effect(lambda: saw.append(("a", data["a"]))),
        effect(lambda: saw.append(("z", "z" in data))),
        effect(lambda: saw.append(("keys", list(data)))),
        effect(lambda: untracked(lambda: saw.append(("untracked", len(data))))),
    ]
    saw.clear()
    data["a"] = 2
    assert saw == [("a", 2)]
    saw.clear()
    data["z"] = 0
    assert sorted(saw) == [("keys", ["a", "z"]), ("z", True)]
    saw.clear()
    del data["z"]
    assert sorted(saw) == [("keys", ["a"]), ("z", False)]
    for stop in stops:
        stop()


def test_a_listener_that_writes_is_told_of_it_next() -> None:
    data = ReactiveDict[str, int](a=1)
    told = []

    def listen(changes: tuple[Change, ...]) -> None:
        told.append([change.key for change in changes])
        data["seen"] = 1

    undo = data.watch(listen)
    data["a"] = 2
    undo()
    assert told == [["a"], ["seen"]]
