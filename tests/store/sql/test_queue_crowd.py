"""A leader waits a moment for those who wrote with it last time, and for nobody else."""

from __future__ import annotations

import threading

import pytest
from test_queue import PATIENCE, Disk, work

from limen.store.sql import queue as module


def crowd(disk: Disk, count: int) -> None:
    """*count* jobs, all but the first of which come while the first one is committed."""
    disk.gate.clear()
    disk.busy.clear()
    futures = [disk.queue.submit(work(-1))]
    assert disk.busy.wait(PATIENCE)
    futures += [disk.queue.submit(work(-1)) for _ in range(count - 1)]
    disk.gate.set()
    for future in futures:
        future.result(PATIENCE)


def test_those_who_wrote_at_once_are_committed_as_one_group_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    crowd(disk, 8)
    monkeypatch.setattr(module, "MOMENT", PATIENCE)
    for future in [disk.queue.submit(work(number)) for number in range(7)]:  # the last group had seven
        future.result(PATIENCE)
    assert disk.groups[-1] == list(range(7))
    disk.queue.close()


def test_threads_wait_for_each_other_too(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    crowd(disk, 8)
    monkeypatch.setattr(module, "MOMENT", PATIENCE)
    threads = [threading.Thread(target=disk.queue.write, args=(work(number),)) for number in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(disk.groups[-1]) == list(range(7))
    disk.queue.close()


def test_who_does_not_come_again_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    crowd(disk, 8)
    assert disk.queue.write(work("alone")) == "alone"  # after MOMENT
    monkeypatch.setattr(module, "MOMENT", 10 * PATIENCE)
    asked = threading.Thread(target=disk.queue.write, args=(work("again"),), daemon=True)
    asked.start()
    asked.join(PATIENCE)
    assert disk.groups[-2:] == [["alone"], ["again"]]
    disk.queue.close()


def test_two_or_three_writers_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOMENT", 10 * PATIENCE)
    disk = Disk()
    crowd(disk, 3)
    assert disk.queue.submit(work("alone")).result(PATIENCE) == "alone"
    disk.queue.close()
