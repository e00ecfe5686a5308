"""Ctrl-C and cancellation at every point of a unit of work: it happened as a whole or not at all, and the next one gets
through at once."""

from __future__ import annotations

import asyncio
import dis
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from free import Probe, nothing_is_held, works
from vfs import Watcher, watched

from limen import DataStore, dbm, exc
from limen.app.datastore import Storage

JUMP_BACKWARD = dis.opmap["JUMP_BACKWARD"]
EVERY = {"": 1, "sqlite": 4, "postgresql": 9}
"""Each so many-th point of a unit is tried, by the beginning of the store's URL."""


class Pair:
    """Two of these are always changed together."""

    @classmethod
    def index(cls, record):
        return {"n": record.n}


def storage_on(store: Any) -> Storage:
    there = DataStore(store)
    storage = Storage(lambda: there)
    storage.add_models(there, Pair, Probe)
    with storage("begin") as db:
        db.insert(Pair, n=0, side="left")
        db.insert(Pair, n=0, side="right")
    return storage


def both(storage: Storage) -> int:
    with storage() as db:
        numbers = {pair.n for pair in db.select(Pair)}
    assert len(numbers) == 1, f"half of a unit was written: {numbers}"
    return numbers.pop()


def raise_both(storage: Storage) -> None:
    with storage("both") as db:
        for pair in db.select(Pair):
            pair.n += 1


class Interrupt:
    """Sends this thread a SIGINT when Python enters its *at*-th function or returns from its *at*-th one of C, which is
    where it looks for signals."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def __enter__(self) -> Interrupt:
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _event(self, frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_return") and frame.f_code is not Interrupt.__exit__.__code__:
            self.seen += 1
            if self.seen == self.at:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGINT)


class InterruptInALoop:
    """The same at the end of the *at*-th round of a loop in the queue or an engine, where Python looks as well."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def __enter__(self) -> InterruptInALoop:
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: Any, event: str, argument: Any) -> Any:
        if Path(frame.f_code.co_filename).name not in ("queue.py", "engine.py"):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "opcode" and frame.f_code.co_code[frame.f_lasti] == JUMP_BACKWARD:
            self.seen += 1
            if self.seen == self.at:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return self._stepped


@pytest.fixture
def interrupted() -> Any:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's own: a generator that ends
def test_ctrl_c_at_any_point_leaves_a_whole_unit_or_none(store: Any) -> None:
    storage = storage_on(store)
    raise_both(storage)
    every = EVERY[store.url.partition(":")[0]]
    at, done = 1, 1
    while True:
        interrupt = Interrupt(at)
        before = both(storage)
        try:
            with interrupt:
                raise_both(storage)
            told = True
        except KeyboardInterrupt:
            told = False
        works(storage)
        nothing_is_held(store)
        now = both(storage)
        assert now == before + 1 if told else now in (before, before + 1)
        if interrupt.seen < at:
            break
        at, done = at + every, done + 1
    assert done > 5


@pytest.mark.usefixtures("interrupted")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's own: a generator that ends
def test_others_of_the_same_group_are_told_the_truth(store: Any) -> None:
    """The main thread is interrupted while it commits for others, too."""
    storage = storage_on(store)
    over = threading.Event()
    counts = [0, 0, 0]

    def other(number: int) -> None:
        while not over.is_set():
            with storage(f"other {number}") as db:
                db.insert(Probe, of=number)
            counts[number] += 1

    threads = [threading.Thread(target=other, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for at in range(1, 400, 13):
            try:
                with Interrupt(at):
                    raise_both(storage)
            except KeyboardInterrupt:
                pass
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
    assert not any(thread.is_alive() for thread in threads), "a writer waits for ever"
    both(storage)
    with storage() as db:
        found = [probe.of for probe in db.select(Probe)]
    assert [found.count(number) for number in range(3)] == counts


class Holds(Watcher):
    """While `hold` is set, a sync waits until `go` is."""

    def __init__(self) -> None:
        self.hold, self.waits, self.go = False, threading.Event(), threading.Event()

    def before(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        if what == "sync" and self.hold:
            self.waits.set()
            self.go.wait(10)


@pytest.mark.usefixtures("interrupted")
def test_a_leader_that_is_interrupted_leaves_nobody_with_an_untruth(tmp_path: Path) -> None:
    """While one commit waits for the disk, the main thread and two others queue up, in this order: it will lead them,
    and is interrupted in each of its loops in turn."""
    disk = Holds()
    with watched(disk):
        store = dbm.SQLStore(f"sqlite:///{tmp_path}/store.db")
        storage = storage_on(store)
        told: dict[tuple[int, int], str] = {}

        def insert(at: int, number: int) -> None:
            try:
                with storage("other") as db:
                    db.insert(Probe, at=at, number=number)
                told[at, number] = "done"
            except exc.Error as error:
                told[at, number] = repr(error)

        def queue_up(others: list[threading.Thread]) -> None:
            for thread in others:
                time.sleep(0.02)
                thread.start()
            time.sleep(0.02)
            disk.hold = False
            disk.go.set()

        for at in range(1, 21):
            disk.waits.clear()
            disk.go.clear()
            disk.hold = True
            first, *others = (threading.Thread(target=insert, args=(at, number)) for number in range(3))
            first.start()
            assert disk.waits.wait(10)
            starter = threading.Thread(target=queue_up, args=(others,))
            starter.start()
            try:
                with InterruptInALoop(at):
                    raise_both(storage)
            except KeyboardInterrupt:
                pass
            for thread in (starter, first, *others):
                thread.join(10)
                assert not thread.is_alive()
        both(storage)
        with storage() as db:
            there = {(probe.at, probe.number) for probe in db.select(Probe)}
        store.close()
    assert {key: text for key, text in told.items() if text != "done"} == {}
    assert there == told.keys()


async def test_a_task_may_be_cancelled_at_any_turn_of_the_loop(store: Any) -> None:
    storage = await asyncio.to_thread(storage_on, store)

    async def unit() -> None:
        async with storage("both") as db:
            for pair in await db.select(Pair):
                pair.n += 1

    turns = 0
    while True:
        before = await asyncio.to_thread(both, storage)
        task = asyncio.ensure_future(unit())
        for _ in range(turns):
            await asyncio.sleep(0)
        over = task.done()
        task.cancel()
        try:
            await task
            told = True
        except asyncio.CancelledError:
            told = False
        now = await asyncio.to_thread(both, storage)
        assert now == before + 1 if told else now in (before, before + 1)
        await asyncio.to_thread(works, storage)
        await asyncio.to_thread(nothing_is_held, store)
        if over:
            break
        turns += max(1, turns // 3)
    assert turns > 3


async def test_a_task_cancelled_after_a_time_leaves_nothing_running(store: Any) -> None:
    storage = await asyncio.to_thread(storage_on, store)

    async def unit() -> None:
        async with storage("both") as db:
            for pair in await db.select(Pair):
                pair.n += 1

    for pause in (0.0, 0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008):
        tasks = [asyncio.ensure_future(unit()) for _ in range(4)]
        await asyncio.sleep(pause)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(both, storage)
        await asyncio.to_thread(works, storage)
    await asyncio.to_thread(nothing_is_held, store)
