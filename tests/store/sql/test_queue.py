from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from types import CodeType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen.store.sql import queue as module
from limen.store.sql.engine import Hand
from limen.store.sql.queue import Job, Queue

PATIENCE = 20.0


class Disk:
    """A database whose transactions are lists: what was committed, in groups; and what is to happen at BEGIN and
    COMMIT, one after the other."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.threads: list[int] = []
        self.begin: list[BaseException | None] = []
        self.commit: list[BaseException | None] = []
        self.gate = threading.Event()  # COMMIT waits for it
        self.gate.set()
        self.busy = threading.Event()  # a COMMIT is under way
        self.queue = Queue(self.run, lambda: ValueError("closed"))

    def run(self, jobs: list[Job[Any]]) -> None:
        self.threads.append(threading.get_ident())
        _next(self.begin)
        done: list[tuple[Job[Any], Any]] = []
        for job in jobs:
            try:
                done.append((job, job.work(None)))  # type: ignore[arg-type]
            except Exception as error:
                job.failed(error)
        self.busy.set()
        assert self.gate.wait(PATIENCE)
        _next(self.commit)
        self.groups.append([value for _, value in done])
        for job, value in done:
            job.done(value)

    @property
    def written(self) -> list[Any]:
        return [value for group in self.groups for value in group]


def _next(errors: list[BaseException | None]) -> None:
    error = errors.pop(0) if errors else None
    if error is not None:
        raise error


def work(value: Any) -> Callable[[Hand], Any]:
    return lambda hand: value


def fails(error: BaseException) -> Callable[[Hand], Any]:
    def run(hand: Hand) -> Any:
        raise error

    return run


class Writer(threading.Thread):
    """Writes one value on a thread of its own."""

    def __init__(self, disk: Disk, job: Any) -> None:
        super().__init__(daemon=True)
        self.disk, self.job = disk, job
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.disk.queue.write(self.job if callable(self.job) else work(self.job))
        except BaseException as error:
            self.error = error

    def end(self) -> Writer:
        self.join(PATIENCE)
        assert not self.is_alive(), "it still waits"
        return self


def waiting(disk: Disk, number: int) -> None:
    """Returns once so many wait."""
    for _ in range(20_000):
        if len(disk.queue._waiting) == number:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{len(disk.queue._waiting)} wait, not {number}")


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.gate.set()
    disk.queue.close()


@contextmanager
def under_way(disk: Disk) -> Iterator[Writer]:
    """A commit is under way for as long as the block goes on."""
    disk.gate.clear()
    disk.busy.clear()
    first = Writer(disk, "first")
    assert disk.busy.wait(PATIENCE)
    yield first
    disk.gate.set()


def test_one_writer_needs_no_other_thread(disk: Disk) -> None:
    assert [disk.queue.write(work(n)) for n in range(3)] == [0, 1, 2]
    assert disk.groups == [[0], [1], [2]]
    assert set(disk.threads) == {threading.get_ident()}
    assert disk.queue._thread is None


def test_who_comes_while_a_commit_is_under_way_is_taken_along_by_the_next(disk: Disk) -> None:
    with under_way(disk) as first:
        others = []
        for n in range(4):
            others.append(Writer(disk, n))
            waiting(disk, n + 1)
        assert disk.groups == []
    assert [other.end().value for other in others] == [0, 1, 2, 3]
    assert first.end().value == "first"
    assert disk.groups == [["first"], [0, 1, 2, 3]]
    assert disk.threads == [first.ident, others[0].ident]


def test_nobody_is_told_before_the_commit_returned(disk: Disk) -> None:
    with under_way(disk) as first:
        other, future = Writer(disk, 1), disk.queue.submit(work(2))
        waiting(disk, 2)
        assert first.is_alive()
        assert other.is_alive()
        assert not future.done()
    assert (first.end().value, other.end().value, future.result(PATIENCE)) == ("first", 1, 2)


def test_one_that_fails_leaves_the_others_of_its_group(disk: Disk) -> None:
    with under_way(disk) as first:
        others = [Writer(disk, 1), Writer(disk, fails(KeyError("mine"))), Writer(disk, 3)]
        waiting(disk, 3)
    assert isinstance(others[1].end().error, KeyError)
    assert (others[0].end().value, others[2].end().value) == (1, 3)
    first.end()
    assert sorted(disk.groups[1]) == [1, 3]


@pytest.mark.parametrize("where", ["begin", "commit"])
def test_a_group_that_fails_as_a_whole_fails_all_with_nothing_written(disk: Disk, where: str) -> None:
    with under_way(disk) as first:
        others: list[Any] = [Writer(disk, 1), Writer(disk, 2)]
        waiting(disk, 2)
        future = disk.queue.submit(work(3))
        getattr(disk, where).extend([OSError("disk")] if where == "begin" else [None, OSError("disk")])
    errors = [*(other.end().error for other in others), future.exception(PATIENCE)]
    assert [type(error) for error in errors] == [OSError] * 3
    assert disk.groups == [["first"]]
    assert first.end().error is None
    assert disk.queue.write(work(4)) == 4


@pytest.mark.parametrize("where", ["begin", "commit"])
def test_an_interrupted_leader_leaves_the_others_to_the_next_in_their_order(disk: Disk, where: str) -> None:
    with under_way(disk) as first:
        others: list[Writer] = []
        for n in range(3):
            others.append(Writer(disk, n))
            waiting(disk, n + 1)
        future = disk.queue.submit(work(3))
        getattr(disk, where).extend([KeyboardInterrupt()] if where == "begin" else [None, KeyboardInterrupt()])
    assert isinstance(others[0].end().error, KeyboardInterrupt)
    assert [other.end().value for other in others[1:]] == [1, 2]
    assert future.result(PATIENCE) == 3
    assert disk.groups == [["first"], [1, 2, 3]]
    first.end()


def test_a_signal_in_the_queues_own_thread_fails_what_it_was_about(disk: Disk) -> None:
    future = disk.queue.submit(fails(KeyboardInterrupt()))
    assert isinstance(future.exception(PATIENCE), KeyboardInterrupt)
    assert disk.queue.submit(work(1)).result(PATIENCE) == 1


def test_those_who_submit_cost_one_thread_for_all(disk: Disk) -> None:
    before = threading.active_count()
    with under_way(disk):
        futures = [disk.queue.submit(work(n)) for n in range(50)]
        assert threading.active_count() <= before + 2  # the writer's and the queue's
    assert [future.result(PATIENCE) for future in futures] == list(range(50))
    assert disk.groups[1:] == [list(range(50))]


def test_a_group_has_its_most(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    with under_way(disk):
        futures = [disk.queue.submit(work(n)) for n in range(8)]
    assert [future.result(PATIENCE) for future in futures] == list(range(8))
    assert disk.groups[1:] == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_closing_serves_those_who_wait_and_refuses_who_comes_later(disk: Disk) -> None:
    with under_way(disk) as first:
        other, future = Writer(disk, 1), disk.queue.submit(work(2))
        waiting(disk, 2)
        closing = threading.Thread(target=disk.queue.close)
        closing.start()
        while disk.queue._open:
            threading.Event().wait(0.001)
        for late in (disk.queue.write, disk.queue.submit):
            with pytest.raises(ValueError, match="closed"):
                late(work(3))
        assert closing.is_alive()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert (first.end().value, other.end().value, future.result(0)) == ("first", 1, 2)
    disk.queue.close()
    assert disk.written == ["first", *sorted(disk.written[1:])]


def test_a_callback_may_close_the_queue(disk: Disk) -> None:
    closed = threading.Event()

    def close(future: Future[int]) -> None:
        disk.queue.close()
        closed.set()

    disk.queue.submit(work(1)).add_done_callback(close)
    assert closed.wait(PATIENCE)


# -- a signal at every place where there can be one
class Interrupt:
    """Raises KeyboardInterrupt in this thread at the *number*th place in queue.py from now on where the interpreter
    looks for signals: after calls, at the beginning of functions and where loops turn."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.raised = False
        self._before: dict[Any, str] = {}

    def __enter__(self) -> Interrupt:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: Any, event: str, value: Any) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        frame.f_trace = self._trace  # first: from Python 3.13 on what follows is only heard where there is one
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            before, self._before[frame] = self._before.get(frame, ""), _instructions(frame.f_code)[frame.f_lasti]
            if before.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
                self.left -= 1
                if self.left == 0:
                    self.raised = True
                    raise KeyboardInterrupt
        return self._trace


@cache
def _instructions(code: CodeType) -> dict[int, str]:
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


def _interrupted_at(number: int, scene: Callable[[Disk, Callable[[], Any]], list[Any]]) -> bool:
    """Plays *scene* with a signal at that place; False where there are not so many. Whatever happens, nobody waits for
    ever, nothing is written twice, what was acknowledged is there, and the queue goes on."""
    disk = Disk()
    interrupt = Interrupt(number)
    answers: list[Any] = []

    def mine() -> None:
        with interrupt:
            answers.append(disk.queue.write(work("mine")))

    others: list[Any] = []
    try:
        others = scene(disk, mine)
    except KeyboardInterrupt:
        assert interrupt.raised
    disk.gate.set()
    after = Writer(disk, "after").end()
    assert after.value == "after"
    for other in others:
        value = other.result(PATIENCE) if isinstance(other, Future) else other.end().value
        assert value in disk.written
    assert len(disk.written) == len(set(disk.written))
    assert not answers or "mine" in disk.written
    disk.queue.close()
    return interrupt.raised


def _alone(disk: Disk, mine: Callable[[], Any]) -> list[Any]:
    mine()
    return []


def _as_leader(disk: Disk, mine: Callable[[], Any]) -> list[Any]:
    """Others wait for the commit of the one that is interrupted."""
    disk.gate.clear()
    others: list[Any] = []

    def come() -> None:
        disk.busy.wait(PATIENCE)
        others.extend([Writer(disk, 1), disk.queue.submit(work(2)), Writer(disk, 3)])
        disk.gate.set()

    coming = threading.Thread(target=come)
    coming.start()
    try:
        mine()
    except KeyboardInterrupt:
        disk.busy.set()  # it may not have come so far
        coming.join()
        return others
    coming.join()
    return others


def _as_the_next_leader(disk: Disk, mine: Callable[[], Any]) -> list[Any]:
    """The one that is interrupted waits first, leads then, with others in its group, and others after it."""
    others: list[Any] = []
    with under_way(disk) as first:
        helper = threading.Thread(target=lambda: _open_when(disk, others))
        helper.start()
        try:
            mine()
        except KeyboardInterrupt:
            pass
        helper.join()
    return [first, *others]


def _open_when(disk: Disk, others: list[Any]) -> None:
    """Others come after the first waits; then the commit goes on."""
    for _ in range(500):
        if disk.queue._waiting:
            break
        threading.Event().wait(0.001)
    others.extend([Writer(disk, 1), disk.queue.submit(work(2)), Writer(disk, 3)])
    for _ in range(500):
        if len(disk.queue._waiting) >= 3:
            break
        threading.Event().wait(0.001)
    disk.gate.set()


@pytest.mark.parametrize("scene", [_alone, _as_leader, _as_the_next_leader])
def test_a_signal_at_any_place_leaves_nobody_waiting(scene: Any) -> None:
    places = 1
    while _interrupted_at(places, scene):
        places += 1
    assert places > 10


# -- anything at once
_outcomes = st.sampled_from(["ok", "fails", "submit", "submit fails"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(_outcomes, min_size=1, max_size=6), min_size=1, max_size=6),
    st.lists(st.sampled_from([None, None, OSError("begin"), KeyboardInterrupt()]), max_size=4),
    st.lists(st.sampled_from([None, None, OSError("commit"), KeyboardInterrupt()]), max_size=4),
)
def test_what_was_acknowledged_was_written_once_and_nothing_else_was(
    scripts: list[list[str]], begin: list[BaseException | None], commit: list[BaseException | None]
) -> None:
    disk = Disk()
    disk.begin, disk.commit = list(begin), list(commit)
    acknowledged: list[Any] = []
    refused: list[Any] = []

    def play(number: int, script: list[str]) -> None:
        for turn, outcome in enumerate(script):
            name = (number, turn)
            job = fails(KeyError(name)) if "fails" in outcome else work(name)
            try:
                write = disk.queue.write
                acknowledged.append(disk.queue.submit(job).result(PATIENCE) if "submit" in outcome else write(job))
            except (KeyError, OSError, KeyboardInterrupt):
                refused.append(name)

    threads = [threading.Thread(target=play, args=each, daemon=True) for each in enumerate(scripts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    disk.queue.close()
    assert sorted(disk.written) == sorted(acknowledged)
    assert len(acknowledged) + len(refused) == sum(map(len, scripts))
