"""Calls, signals and changes through nodes whose connections are cut and return: every call ends once, signals come at
most once and in order, mirrors agree at the end, and nothing is left bound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop
from crowd import Books
from living import rage
from place import Place

loop = uvloop.new_event_loop
CALLS, EVENTS = 6000, 2000


@pytest.mark.filterwarnings("error:coroutine .* was never awaited")
async def test_10_000_calls_signals_and_changes_through_a_storm(tmp_path: Path) -> None:
    books = Books()
    async with Place(tmp_path / "keys", books).open() as place:
        nothing, tasks = place.left(), asyncio.all_tasks()
        storm = await rage(place, 7, CALLS, EVENTS)
        assert books.wrong() == []
        assert place.left() == nothing
        assert asyncio.all_tasks() == tasks
    assert len(books.ended) == CALLS
    assert books.published["work"] == EVENTS
    assert storm.cuts + storm.swallowed > 20
    assert len(books.done) > CALLS / 2
    assert {(publisher, number) for publisher, _, number in books.heard["calm"]} >= books.taken
    assert all(len(heard) > EVENTS / 4 for heard in books.heard.values())
