"""Feeds that nobody closes."""

from __future__ import annotations

import gc
from typing import Any

from storing import Todo

from limen.app.datastore import Storage


def test_a_feed_that_is_gone_is_not_woken_any_more(storage: Storage, todo: Any) -> None:
    records, woken = storage.main(), []
    undone = []

    def wakes(callback: Any) -> Any:
        woken.append(callback)
        return lambda: undone.append(callback)

    original, records.wakes = records.wakes, wakes  # type: ignore[method-assign]
    try:
        for _ in range(3):
            storage.changes().read()
    finally:
        records.wakes = original  # type: ignore[method-assign]
    gc.collect()
    assert len(undone) == 3
    assert undone == woken
    with storage() as db:
        db.insert(Todo, text="second")


def test_an_open_feed_is_woken(storage: Storage, todo: Any) -> None:
    with storage.changes(after=1) as feed:
        gc.collect()
        with storage() as db:
            db.insert(Todo, text="second")
        assert [commit.number for commit in feed.wait(5)] == [2]
