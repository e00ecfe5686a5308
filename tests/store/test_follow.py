"""A copy in another store: never half, never twice, whenever a machine stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from copies import ADA, Stopped, Stopping, commit, history, records, state, steps, who
from hypothesis import given, settings
from hypothesis import strategies as st

from limen import exc
from limen.core.record.port import REVIVE, Change, Version
from limen.store import follow
from limen.store.accounts import Accounts
from limen.store.follow import Follower
from limen.store.rows import key


def test_the_copy_has_what_the_source_has() -> None:
    source, target = records(), records()
    follower = Follower(source, target)
    history(source, 1, 60)
    assert follower.follow("localhost") == 60
    assert state(target) == state(source) != {}
    history(source, 2, 60)
    follower.follow("localhost")
    assert state(target) == state(source)


def test_what_is_the_stores_own_is_not_copied() -> None:
    source, target = records(), records()
    Accounts(source).put(ADA)
    Follower(source, target).follow("localhost")
    assert target.read("localhost", "limen.login", key("ada"))[1] is None


def test_a_domain_is_copied_to_itself_and_no_other() -> None:
    source, target = records(), records()
    source.commit(who(domain="other.example"), [Change("Todo", bytes(16), 0, "{}")])
    follower = Follower(source, target)
    follower.follow("localhost")
    assert target.domains() == []
    follower.follow("other.example")
    assert target.domains() == ["other.example"]


def test_what_was_copied_is_not_written_again() -> None:
    source, target = records(), records()
    history(source, 1, 40)
    Follower(source, target).follow("localhost")
    before = target.progress()
    for _ in range(3):
        Follower(source, target).follow("localhost")
    assert target.progress() == before


@pytest.mark.parametrize("batch", [1, 3, 500])
@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_a_machine_may_stop_at_any_moment(monkeypatch: pytest.MonkeyPatch, side: str, batch: int) -> None:
    """Between any two steps the copy is what the source was at its position; and it gets to the end afterwards."""
    monkeypatch.setattr(follow, "BATCH", batch)
    last, stopped = 0, True
    while stopped:
        source, target = records(), records()
        history(source, 3, 12)
        until = steps(last)
        one = Stopping(source, until) if side != "target" else source
        two = Stopping(target, until) if side != "source" else target
        try:
            Follower(one, two).follow("localhost")
            stopped = False
        except Stopped:
            pass
        assert state(target) == state(source, Follower(source, target).position("localhost"))
        history(source, 4, 3)  # and life goes on
        Follower(source, target).follow("localhost")
        assert state(target) == state(source)
        last += 1
    assert last > 10


def test_several_may_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "BATCH", 3)
    source, target = records(), records()

    def work(number: int) -> None:
        if number == 0:
            history(source, 5, 200)
        else:
            for _ in range(20):
                Follower(source, target).follow("localhost")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    Follower(source, target).follow("localhost")
    assert state(target) == state(source)


def copied(source: Any, length: int) -> Any:
    """Another database with the first *length* transactions of *source*'s history."""
    other = records()
    lines = [source.transaction("localhost", number) for number in range(1, length + 1)]
    for by in lines:
        changes = [
            Change(line.model, line.uuid, line.vsn - 1, text(source, line), kind_of(other, line))
            for line in source.changes("localhost", by.number - 1)
            if line.txn == by.number
        ]
        other.commit(by, changes)
    return other


def text(source: Any, line: Any) -> str:
    version: Version = source.read("localhost", line.model, line.uuid, line.txn)[1]
    return version.fields


def kind_of(store: Any, line: Any) -> int:
    newest = store.read("localhost", line.model, line.uuid)[1]
    return REVIVE if newest is not None and newest.deleted else int(line.kind)


@pytest.mark.parametrize("since", [0, 5, 30])
def test_a_source_that_was_put_back_from_a_backup_is_followed_anew(since: int) -> None:
    """Also where it has come to the same numbers again, with other contents."""
    source, target = records(), records()
    for number in range(10):
        commit(source, number)
    backup = copied(source, 6)
    backup_id = source.read("", "limen.setting", key("database_id"))
    assert backup_id[1] is None
    Follower(source, target).follow("localhost")  # makes the id
    fields = source.read("", "limen.setting", key("database_id"))[1].fields
    backup.commit(who(domain=""), [Change("limen.setting", key("database_id"), 0, fields, keep=0)])
    for step in range(since):
        commit(backup, step % 3, text=f"after the backup {step}", clock=1000.0)
    Follower(backup, target).follow("localhost")
    assert state(target) == state(backup)
    assert len(state(target)) == 6


def test_another_source_is_followed_from_its_beginning() -> None:
    """Also one whose transactions look the same."""
    one, other, target = records(), records(), records()
    for number in range(4):
        commit(one, number, text="one")
        commit(other, number + 1, text="other")
    Follower(one, target).follow("localhost")
    Follower(other, target).follow("localhost")
    assert state(target) == state(other)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 25)), max_size=6))
@settings(max_examples=60, deadline=None)
def test_however_often_it_stops_it_comes_to_the_same(rounds: list[tuple[int, int]]) -> None:
    source, target = records(), records()
    past = {0: state(source)}  # as it was: what is erased later is not in the past any more
    for seed, last in rounds:
        for step in range(seed % 5):
            history(source, seed + step, 1)
            past[source.last("localhost")] = state(source)
        try:
            Follower(Stopping(source, steps(last)), Stopping(target, steps(last))).follow("localhost")
        except Stopped:
            pass
        assert state(target) == past[Follower(source, target).position("localhost")]
    Follower(source, target).follow("localhost")
    assert state(target) == state(source)


def test_who_waits_too_long_is_told_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "BATCH", 1)
    source, target = records(), records()
    history(source, 1, 5)
    follower = Follower(source, target)
    with pytest.raises(exc.Timeout, match="transaction 0 of 5"):
        follower.follow("localhost", deadline=0.0)
    assert follower.follow("localhost") == 5
