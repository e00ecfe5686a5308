"""A copy in another store: never half, never twice, whenever a machine stops."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen import exc
from limen.core.guard.accounts import Account
from limen.core.record import query
from limen.core.record.expression import field
from limen.core.record.port import DELETE, ERASE, PUT, REVIVE, Answer, Change, Index, Transaction, Version
from limen.core.record.query import Query, ordering
from limen.core.record.record import decode_fields
from limen.store import follow, relational
from limen.store.accounts import PROFILE, Accounts
from limen.store.follow import Follower
from limen.store.memory import MemDictStore
from limen.store.relational import Relational
from limen.store.rows import key
from limen.store.sql import SQLStore

ADA = Account("localhost", "ada", b"r" * 192, 1, ("nurse",), {"name": "Ada"})
MODELS = ("Todo", "Note")


class Stopped(Exception):
    """The machine stops here."""


class Stopping:
    """A store that stops for good before or after its nth call: nothing was done, or all of it and nobody heard."""

    def __init__(self, records: Any, steps: Iterator[bool]) -> None:
        self._records, self._steps = records, steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._records, name)

        def call(*args: Any, **options: Any) -> Any:
            self._step()
            answer = function(*args, **options)
            self._step()
            return answer

        return call

    def _step(self) -> None:
        if next(self._steps):
            raise Stopped


def steps(last: int) -> Iterator[bool]:
    """False for each of *last* steps, then True for good."""
    for _ in range(last):
        yield False
    while True:
        yield True


def records() -> Any:
    return MemDictStore().records


def who(time: float = 1.0, domain: str = "localhost") -> Transaction:
    return Transaction(domain, "ada", None, "", "", "", time)


def commit(
    store: Any, number: int, kind: int = PUT, text: str = "a", model: str = "Todo", clock: float = 1.0, **more: Any
) -> int:
    uuid = number.to_bytes(16)
    newest = store.read("localhost", model, uuid)[1]
    change = Change(model, uuid, newest.vsn if newest is not None else 0, f'{{"text":"{text}"}}', kind, **more)
    done: int = store.commit(who(store.last("localhost") + clock), [change])
    return done


def state(store: Any, at: int | None = None) -> dict[tuple[str, bytes], str]:
    found = ((model, version) for model in MODELS for version in store.select("localhost", Query(model), at).versions)
    return {(model, version.uuid): version.fields for model, version in found}


def history(store: Any, seed: int, length: int) -> None:
    """Records that are made, changed, deleted, revived and erased."""
    chance = random.Random(seed)
    for step in range(length):
        number, model = chance.randrange(4), chance.choice(MODELS)
        newest = store.read("localhost", model, number.to_bytes(16))[1]
        if newest is None:
            kind = PUT
        elif newest.deleted:
            kind = chance.choice([REVIVE, REVIVE, ERASE])
        else:
            kind = chance.choice([PUT, PUT, DELETE, ERASE])
        commit(store, number, kind, f"{seed}-{step}", model)


# -- the copy
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


# -- profiles in a store of their own
def test_a_profile_may_be_kept_elsewhere() -> None:
    permission, profile = records(), records()
    accounts = Accounts(permission, profile)
    assert accounts.put(ADA, create=True)
    assert accounts.get("localhost", "ada") == ADA
    assert accounts.list() == [ADA]
    assert '"Ada"' in profile.read("localhost", PROFILE, key("ada"))[1].fields
    changed = accounts.update("localhost", "ada", profile={"name": "Ada L."}, roles=("admin",))
    assert accounts.get("localhost", "ada") == changed == replace(ADA, profile={"name": "Ada L."}, roles=("admin",))
    assert accounts.remove("localhost", "ada")
    assert accounts.get("localhost", "ada") is None
    assert profile.read("localhost", PROFILE, key("ada"))[1] is None
    assert accounts.put(ADA, create=True)
    assert accounts.get("localhost", "ada") == ADA


@pytest.mark.parametrize("what", ["put", "update", "remove"])
def test_an_account_is_changed_in_both_stores_or_in_neither_wherever_a_machine_stops(what: str) -> None:
    last, stopped, seen = 0, True, set()
    changed = replace(ADA, roles=("admin",), profile={"name": "Ada L."})
    while stopped:
        permission, profile = records(), records()
        if what != "put":
            Accounts(permission, profile).put(ADA)
        until = steps(last)
        accounts = Accounts(Stopping(permission, until), Stopping(profile, until))
        try:
            if what == "put":
                accounts.put(changed)
            elif what == "update":
                accounts.update("localhost", "ada", roles=changed.roles, profile=changed.profile)
            else:
                accounts.remove("localhost", "ada")
            stopped = False
        except Stopped:
            pass
        found = Accounts(permission, profile).get("localhost", "ada")
        assert found in ((None, changed) if what == "put" else (ADA, changed) if what == "update" else (ADA, None))
        seen.add(found is not None and found.roles)
        again = Accounts(permission, profile)
        again.recover()
        there = profile.read("localhost", PROFILE, key("ada"))[1]
        assert (there is not None) == (found is not None)
        assert found is None or f'"{found.profile["name"]}"' in there.fields
        last += 1
    assert len(seen) == 2


def test_who_reads_an_account_waits_for_its_profile_or_hears_that_it_is_not_there() -> None:
    permission, profile = records(), records()
    with pytest.raises(Stopped):
        Accounts(permission, Stopping(profile, steps(0))).put(ADA)
    with pytest.raises(Stopped):  # the store of profiles is still away: no account without its profile
        Accounts(permission, Stopping(profile, steps(0))).get("localhost", "ada")
    assert Accounts(permission, profile).get("localhost", "ada") == ADA


def test_a_profile_store_that_fails_does_not_undo_what_was_decided() -> None:
    class Full:
        def __init__(self, records: Any) -> None:
            self._records = records

        def __getattr__(self, name: str) -> Any:
            if name != "commit":
                return getattr(self._records, name)
            raise exc.StoreError("the disk is full")

    permission, profile = records(), records()
    assert Accounts(permission, Full(profile)).put(ADA)
    assert Accounts(permission, profile).get("localhost", "ada") == ADA


def test_known_and_unknown_users_are_looked_up_alike() -> None:
    class Counting:
        def __init__(self, records: Any, calls: list[str]) -> None:
            self._records, self._calls = records, calls

        def __getattr__(self, name: str) -> Any:
            self._calls.append(name)
            return getattr(self._records, name)

    permission, profile = records(), records()
    Accounts(permission, profile).put(ADA)
    for store in (None, profile):
        asked = []
        for user in ("ada", "nobody"):
            calls: list[str] = []
            other = None if store is None else Counting(store, calls)
            accounts = Accounts(Counting(permission, calls), other)
            calls.clear()
            accounts.get("localhost", user)
            asked.append(calls)
        assert asked[0] == asked[1] == ["read"] * (1 if store is None else 2)


# -- searching in a store of its own
class Searching:
    """A store that answers expressions itself, as one with columns does."""

    def __init__(self) -> None:
        self._records = records()
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def select(self, domain: str, asked: Query, at: int | None = None) -> Answer:
        self.asked += 1
        at, versions, _, _ = self._records.select(domain, Query(asked.model), at)
        found = [v for v in versions if asked.where is None or asked.where.matches(decode_fields(v.fields))]
        page = query.page(found, asked.order, asked.limit, asked.after, lambda v: (decode_fields(v.fields), v.uuid))
        return Answer(at, [*page], False, "by a column")

    def count(self, domain: str, asked: Query, at: int | None = None) -> tuple[int, int] | None:
        answer = self.select(domain, asked, at)
        return answer.at, len(answer.versions)


def texts(answer: Answer) -> list[str]:
    return [decode_fields(version.fields)["text"] for version in answer.versions]


def test_a_search_asks_the_relational_store_and_answers_from_the_records() -> None:
    source, target = records(), Searching()
    both = Relational(source, target)
    for number, word in enumerate("dacb"):
        commit(both, number, text=word)
    asked = Query("Todo", None, field("text") >= "b", ordering(field("text")), 2)
    answer = both.select("localhost", asked)
    assert (texts(answer), answer.at, answer.complete) == (["b", "c"], 4, False)
    assert "relational" in answer.how
    assert [version.txn for version in answer.versions] == [4, 3]
    assert both.count("localhost", Query("Todo", None, field("text") >= "b", limit=10)) == (4, 3)
    assert target.asked == 2


def test_a_search_of_an_older_snapshot_finds_what_was_there_then() -> None:
    source, target = records(), Searching()
    both = Relational(source, target)
    commit(both, 1, text="milk")
    commit(both, 2, text="milk")
    commit(both, 1, text="beer")
    asked = Query("Todo", None, field("text") == "milk")
    assert texts(both.select("localhost", asked)) == ["milk"]
    old = both.select("localhost", asked, at=2)
    assert old.complete  # all of then: the copy knows today's only
    assert texts(old) == ["milk", "milk"]
    assert both.count("localhost", asked, at=2) is None


def test_a_change_of_another_model_keeps_nobody_from_the_relational_store() -> None:
    source, target = records(), Searching()
    both = Relational(source, target)
    commit(both, 1, text="milk")
    commit(both, 1, text="x", model="Note")
    asked = Query("Todo", None, field("text") == "milk")
    assert both.select("localhost", asked).complete is False
    assert both.select("localhost", asked, at=1).complete is False


def test_searches_are_right_while_others_write() -> None:
    source, target = records(), Searching()
    both = Relational(source, target)

    def write(_: int) -> None:
        history(both, 6, 150)

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(write, 0)
        asked = Query("Todo", None, field("text") >= "6-3")
        while not writing.done():
            answer = both.select("localhost", asked)
            found = [version for version in answer.versions if asked.where.matches(decode_fields(version.fields))]
            right = source.select("localhost", Query("Todo"), answer.at).versions
            assert found == [v for v in right if asked.where.matches(decode_fields(v.fields))]
        writing.result()


def test_strays_of_a_model_without_history_are_not_found() -> None:
    """Their deletions leave no trace for a copy to follow."""
    source, target = records(), Searching()
    both = Relational(source, target)
    for number in (1, 2):
        commit(both, number, text="milk", keep=0)
    asked = Query("Todo", None, field("text") == "milk", limit=1)
    assert [version.uuid[-1] for version in both.select("localhost", asked).versions] == [1]
    commit(both, 1, DELETE, keep=0)
    assert [version.uuid[-1] for version in both.select("localhost", asked).versions] == [2]


def test_a_search_that_waits_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Relational(records(), Searching())
    commit(both, 1, text="milk")
    monkeypatch.setattr(relational, "WAIT", -1.0)
    with pytest.raises(exc.Timeout, match="transaction 0 of 1"):
        both.select("localhost", Query("Todo", None, field("text") == "milk"))
    both.follow(60.0)
    assert texts(both.select("localhost", Query("Todo", None, field("text") == "milk"))) == ["milk"]


# -- the same with columns that are real
TEXT = Index((("text", "text"),))


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SQLStore]:
    store = SQLStore(f"sqlite:///{tmp_path / 'relational.db'}")
    yield store
    store.close()


def test_a_relational_store_answers_by_its_columns(sqlite: SQLStore) -> None:
    source = records()
    both = Relational(source, sqlite.records)
    for number in range(300):
        text = f"{number % 10}"
        change = Change("Todo", number.to_bytes(16), 0, f'{{"text":"{text}"}}', index=TEXT, values={"text": text})
        both.commit(who(number + 1.0), [change])
    asked = Query("Todo", TEXT, field("text") == "7")
    answer = both.select("localhost", asked)
    assert (len(answer.versions), answer.complete) == (30, False)
    assert both.count("localhost", replace(asked, limit=1000)) == (300, 30)


def test_columns_are_there_after_a_restart_whoever_follows_first(sqlite: SQLStore) -> None:
    """What follows once a second knows of no columns before the program asks for some."""
    source = records()
    both = Relational(source, sqlite.records)
    commit(both, 1, text="milk", index=TEXT, values={"text": "milk"})
    both.select("localhost", Query("Todo", TEXT, field("text") == "milk"))
    again = Relational(source, sqlite.records)
    commit(source, 2, text="milk")
    again.follow()
    answer = again.select("localhost", Query("Todo", TEXT, field("text") == "milk"))
    assert (texts(answer), answer.complete) == (["milk", "milk"], False)
