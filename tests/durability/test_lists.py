"""The checker of histories: finds each anomaly in a history made by hand, and nothing in serial ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lists import anomalies


def t(id: int, *ops: tuple[str, str, Any], status: str = "ok", at: tuple[float, float] = (0, 99)) -> dict[str, Any]:
    return {"id": id, "status": status, "start": at[0], "end": at[1], "ops": [list(op) for op in ops]}


def a(key: str, value: int) -> tuple[str, str, int]:
    return "append", key, value


def r(key: str, *values: int) -> tuple[str, str, list[int]]:
    return "r", key, list(values)


HAND_MADE = {
    "unwritten": [t(1, r("x", 9))],
    "duplicate": [t(1, a("x", 1)), t(2, r("x", 1, 1))],
    "aborted": [t(1, a("x", 1), status="fail"), t(2, r("x", 1))],
    "intermediate": [t(1, a("x", 1), a("x", 2)), t(2, r("x", 1)), t(3, r("x", 1, 2))],
    "internal": [t(1, a("x", 1), r("x"))],
    "fork": [t(1, a("x", 1)), t(2, a("x", 2)), t(3, r("x", 1)), t(4, r("x", 2, 1))],
    "lost append": [t(1, a("x", 1), at=(0, 1)), t(2, r("x"), at=(2, 3))],
    "lost update": [t(1, r("x"), a("x", 1)), t(2, r("x"), a("x", 2)), t(3, r("x", 1, 2))],
    "write cycle": [t(1, a("x", 1), a("y", 1)), t(2, a("x", 2), a("y", 2)), t(3, r("x", 1, 2), r("y", 2, 1))],
    "read cycle": [t(1, a("x", 1), r("y", 1)), t(2, a("y", 1), r("x", 1))],
    "read skew": [t(1, a("x", 1), a("y", 1)), t(2, r("x"), r("y", 1))],
    "write skew": [t(1, r("x"), r("y"), a("x", 1)), t(2, r("x"), r("y"), a("y", 1)), t(3, r("x", 1), r("y", 1))],
    "realtime": [t(1, a("x", 1), at=(0, 1)), t(2, r("x"), at=(2, 3)), t(3, r("x", 1), at=(2, 3))],
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_each_anomaly_is_found_by_its_name(name: str) -> None:
    assert name in anomalies(HAND_MADE[name])


def test_a_list_that_changes_under_a_transaction_is_found() -> None:
    assert "internal" in anomalies([t(1, a("x", 1)), t(2, r("x"), r("x", 1))])


def test_three_that_each_read_what_the_next_one_writes_are_found() -> None:
    ring = [t(n, r(str(n)), a(str((n + 1) % 3), 1)) for n in range(3)]
    assert "write skew" in anomalies([*ring, t(9, r("0", 1), r("1", 1), r("2", 1))])


def test_what_nobody_knows_may_have_happened_or_not() -> None:
    unknown = t(1, a("x", 1), status="info")
    assert anomalies([unknown, t(2, r("x", 1))]) == {}
    assert anomalies([unknown, t(2, r("x"))]) == {}


def test_a_reader_may_come_before_a_writer_that_is_still_under_way() -> None:
    assert anomalies([t(1, a("x", 1), at=(0, 5)), t(2, r("x"), at=(2, 3)), t(3, r("x", 1), at=(6, 7))]) == {}


OPS = st.lists(st.tuples(st.booleans(), st.sampled_from("xyz")), min_size=1, max_size=5)


@given(st.lists(st.tuples(OPS, st.sampled_from(["ok", "ok", "ok", "fail", "info"]), st.booleans()), max_size=20))
def test_nothing_is_found_where_one_came_after_the_other(plan: list[Any]) -> None:
    lists: dict[str, list[int]] = {"x": [], "y": [], "z": []}
    history = []
    for id, (ops, status, happened) in enumerate(plan):
        mine = {key: list(values) for key, values in lists.items()}
        done: list[tuple[str, str, Any]] = []
        for n, (reads, key) in enumerate(ops):
            if reads:
                done.append(("r", key, list(mine[key])))
            else:
                mine[key].append(id * 10 + n)
                done.append(("append", key, id * 10 + n))
        if status == "ok" or (status == "info" and happened):
            lists = mine
        history.append(t(id, *done, status=status, at=(id, id + 0.5)))
    history.append(t(99, *(("r", key, values) for key, values in lists.items()), at=(99, 100)))
    assert anomalies(history) == {}
