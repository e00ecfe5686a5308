"""Worker threads: started when needed, none lost, shut down in order."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from limen.service.workers import Workers


def test_threads_are_started_as_they_are_needed_and_used_again() -> None:
    workers = Workers(4)
    names = {workers.submit(lambda: threading.current_thread().name).result() for _ in range(1)}
    assert names == {"limen-0"}
    barrier = threading.Barrier(4)
    futures = [workers.submit(barrier.wait, 10) for _ in range(4)]
    assert sorted(future.result() for future in futures) == [0, 1, 2, 3]
    workers.shutdown()


def test_no_work_is_lost_between_busy_and_idle() -> None:
    workers = Workers(2)
    done = threading.Semaphore(0)
    for _ in range(5000):
        workers.start(done.release)
    for _ in range(5000):
        assert done.acquire(timeout=10)
    workers.shutdown()


def test_what_waits_runs_before_the_end_unless_it_is_dropped() -> None:
    for drop in (False, True):
        workers = Workers(1)
        go, begun = threading.Event(), threading.Event()

        def block(begun: threading.Event = begun, go: threading.Event = go) -> None:
            begun.set()
            go.wait(10)

        first, second = workers.submit(block), workers.submit(lambda: 7)
        begun.wait(10)
        workers.shutdown(wait=False, cancel_futures=drop)
        go.set()
        workers.shutdown()
        assert first.done()
        assert second.done() is not drop


def test_errors_and_cancellation_are_the_future_s() -> None:
    workers = Workers(1)
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 / 0).result()
    go = threading.Event()
    blocked, waiting = workers.submit(go.wait, 10), workers.submit(lambda: 7)
    assert waiting.cancel()
    go.set()
    assert blocked.result() is True
    with pytest.raises(CancelledError):
        waiting.result()
    workers.shutdown()


def test_after_the_end_nothing_more_is_taken() -> None:
    workers = Workers(1)
    workers.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        workers.start(print)
