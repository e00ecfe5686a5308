"""The checker of versioned writes: finds what must not be in histories made by hand, and nothing in a good one."""

from __future__ import annotations

from typing import Any

import pytest
from versions import one_line


def event(op: str, start: float, status: str = "ok", **more: Any) -> dict[str, Any]:
    return {"op": op, "record": "r", "status": status, "start": start, "end": start + 0.5, **more}


INSERT = event("insert", 0, version=1, value="a")
UPDATE = event("update", 1, base=1, version=2, value="b")
STALE = event("update", 2, "stale", base=1, value="c")
FETCH = event("fetch", 3, version=2, value="b")
HISTORY = event("history", 9, versions=[[1, "a"], [2, "b"]])
GOOD = [INSERT, UPDATE, STALE, FETCH, HISTORY]


def test_a_good_history_has_nothing_wrong() -> None:
    assert one_line(GOOD) == []


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([INSERT, UPDATE, event("history", 9, versions=[[1, "a"], [3, "b"]])], "its versions are"),
        ([INSERT, UPDATE, event("history", 9, versions=[[1, "a"]])], "was acknowledged as version 2"),
        ([*GOOD, event("update", 4, base=2, version=3, value="d")], "was acknowledged as version 3"),
        ([*GOOD[:-1], event("history", 9, versions=[[1, "a"], [2, "b"], [3, "z"]])], "which nobody wrote"),
        ([*GOOD[:-1], event("history", 9, versions=[[1, "a"], [2, "b"], [3, "c"]])], "which was refused"),
        ([*GOOD[:-1], event("history", 9, versions=[[1, "a"], [2, "b"], [3, "b"]])], "is there twice"),
        ([*GOOD, event("history", 5, versions=[[1, "x"]])], "was rewritten"),
        ([INSERT, event("update", 1, base=3, version=2, value="b"), HISTORY], "was made from 3"),
        ([*GOOD, event("update", 4, "stale", base=2, value="d")], "while that was the newest"),
        ([*GOOD, event("fetch", 4, version=2, value="x")], "was read as x"),
        ([*GOOD, event("fetch", 4, version=1, value="a")], "after a later one had been acknowledged"),
        ([INSERT], "nobody asked for its history"),
    ],
)
def test_what_must_not_be_is_said(history: list[dict[str, Any]], said: str) -> None:
    assert any(said in text for text in one_line(history)), one_line(history)


def test_what_nobody_knows_may_be_there_or_not() -> None:
    unknown = event("update", 4, "info", base=2, value="i")
    assert one_line([*GOOD, unknown]) == []
    assert one_line([*GOOD[:-1], unknown, event("history", 9, versions=[[1, "a"], [2, "b"], [3, "i"]])]) == []
