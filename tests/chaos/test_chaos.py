"""Calls and events through a line that delays, swallows and cuts: every call ends once, events come at most once and in
order, and nothing is left of anybody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import uvloop
from crowd import Books
from place import Place, rage

loop = uvloop.new_event_loop
CALLS, EVENTS = 8000, 2000


async def test_10_000_calls_and_events_through_a_storm(tmp_path: Path) -> None:
    books = Books()
    async with Place(tmp_path / "keys", books).open() as place:
        nothing, tasks = place.left(), asyncio.all_tasks()
        storm = await rage(place, 7, CALLS, EVENTS)
        assert books.wrong() == []
        assert place.left() == nothing
        assert asyncio.all_tasks() == tasks
    assert len(books.ended) == CALLS
    assert sum(books.published.values()) == EVENTS
    assert storm.cuts + storm.swallowed > 50
    assert len(books.done) > CALLS / 2
    # Sealed sessions are resumed, and ask again for what they have no answer to; where a return was cut, too, the
    # server may not know what has arrived before it, and says so.
    sealed = [why for name, why in books.failed.items() if name.startswith("sealed")]
    assert [why for why in sealed if not why.startswith("OutcomeUnknown(")] == []
    assert len(sealed) < CALLS / 100
    assert {(publisher, number) for publisher, _, number in books.heard["calm"]} >= books.taken
    # Whoever was cut off hears again, else it would end with a few; how much in all is a matter of luck (23 to 95 %).
    assert all(len(heard) > EVENTS / 10 for heard in books.heard.values())
