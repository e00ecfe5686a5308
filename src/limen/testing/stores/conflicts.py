"""What a store of records must refuse, and what many may do with it at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from limen.core.record.expression import field
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    REVIVE,
    Change,
    Committed,
    Conflict,
    Reads,
    Stale,
)
from limen.core.record.query import Query
from limen.core.record.record import decode_fields

from .changes import HERE, THREADS, WHO, Suite, put, reads, uuid


class ConflictSuite(Suite):
    """What was read and has changed; many at once."""

    # -- conflicts -------------------------------------------------------------------------------------
    def conflict(self, store: Any, seen: Reads, *changes: Change) -> Any:
        """The Conflict of a commit, None where it was let through."""
        try:
            store.records.commit(WHO, list(changes) or [put(99)], seen)
        except Conflict as found:
            return found
        return None

    def test_a_record_that_was_read_and_changed_since_is_a_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])
        store.records.commit(WHO._replace(user="bob"), [put(1, base=1)])
        before = store.records.progress()
        found = self.conflict(store, reads(1, 1, 2))
        assert (found.model, found.uuid, found.by.user, found.by.number) == ("T", uuid(1), "bob", 2)
        assert store.records.progress() == before
        assert store.records.read(HERE, "T", uuid(99))[1] is None
        assert self.conflict(store, reads(1, 2)) is None

    def test_what_was_not_changed_since_it_was_read_is_none(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])
        store.records.commit(WHO, [put(1, base=1)])
        assert self.conflict(store, reads(2, 1, 2, where=[None])) is None
        assert self.conflict(store, reads(3, 1, model="Other", where=[None]), put(98)) is None

    @pytest.mark.parametrize("kind", [DELETE, ERASE, REVIVE, PUT])
    def test_each_kind_of_change_is_a_conflict(self, store: Any, kind: int) -> None:
        store.records.commit(WHO, [put(1)])
        base = 1
        if kind == REVIVE:
            store.records.commit(WHO, [put(1, base=1, kind=DELETE)])
            base = 2
        at = store.records.commit(WHO, [put(2)])
        store.records.commit(WHO, [put(1, base=base, kind=kind)])
        assert self.conflict(store, reads(at, 1)) is not None
        assert self.conflict(store, reads(at, where=[field("a") == 1])) is not None
        assert self.conflict(store, reads(at, where=[None])) is not None
        assert self.conflict(store, reads(at, 2)) is None

    def test_a_record_that_was_missed_and_is_there_now_is_a_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        store.records.commit(WHO, [put(2)])
        assert self.conflict(store, reads(1, 2)) is not None

    @pytest.mark.parametrize(
        ("before", "after", "conflicts"),
        [
            (None, 5, True),
            (5, 6, True),
            (4, 5, True),
            (5, None, True),
            (None, 4, False),
            (4, 6, False),
            (4, None, False),
        ],
    )
    def test_a_search_conflicts_with_what_matched_before_or_matches_now(
        self, store: Any, before: int | None, after: int | None, conflicts: bool
    ) -> None:
        """None: it is not there."""
        store.records.commit(WHO, [put(2)] if before is None else [put(1, a=before), put(2)])
        kind = DELETE if after is None else PUT
        store.records.commit(WHO, [put(1, base=0 if before is None else 1, a=after, kind=kind)])
        found = self.conflict(store, reads(1, where=[field("a") == 5]))
        assert (found is not None) is conflicts
        assert self.conflict(store, reads(1, where=[field("a") == 7]), put(98)) is None
        assert self.conflict(store, reads(1, where=[field("a") == 7, None]), put(97)) is not None

    def test_a_search_of_another_model_or_domain_is_no_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        store.records.commit(WHO, [put(1, base=1)])
        store.records.commit(WHO._replace(domain="other.example"), [put(5, model="U")])
        assert self.conflict(store, reads(1, 5, model="U", where=[None])) is None

    def test_writing_what_was_read_is_no_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        assert self.conflict(store, reads(1, 1, where=[None]), put(1, base=1)) is None

    def test_a_stale_base_comes_before_a_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        store.records.commit(WHO, [put(1, base=1)])
        with pytest.raises(Stale):
            store.records.commit(WHO, [put(1, base=1)], reads(1, 1))

    def test_what_was_read_without_history_must_still_be_there(self, store: Any) -> None:
        store.records.commit(WHO, [put(1, keep=0), put(2, keep=0)])
        both = reads(1)._replace(found=frozenset({("T", uuid(1)), ("T", uuid(2))}))
        store.records.commit(WHO, [put(3)])
        assert self.conflict(store, both, put(4)) is None
        store.records.commit(WHO, [put(2, base=1, keep=0, kind=DELETE)])
        found = self.conflict(store, both, put(5))
        assert (found.model, found.uuid) == ("T", uuid(2))

    # -- at once ---------------------------------------------------------------------------------------
    def test_submit_does_what_commit_does(self, store: Any) -> None:
        futures = [store.records.submit(WHO, [put(number)]) for number in range(20)]
        assert sorted(future.result(10) for future in futures) == list(range(1, 21))
        stale = store.records.submit(WHO, [put(1, base=7)])
        conflict = store.records.submit(WHO, [put(30)], reads(1, 5))
        assert isinstance(stale.exception(10), Stale)
        assert isinstance(conflict.exception(10), Conflict)
        assert store.records.last(HERE) == 20
        assert len(self.all(store)) == 20

    def test_of_many_writers_of_one_version_one_gets_through(self, store: Any) -> None:
        store.records.commit(WHO, [put()])

        def attempt(writer: int) -> int:
            written, base = 0, 1
            while written < 5:
                try:
                    store.records.commit(WHO._replace(user=str(writer)), [put(base=base)])
                    written, base = written + 1, base + 1
                except Stale as stale:
                    base = stale.newest.vsn if stale.newest is not None else 0
            return written

        self.together(attempt)
        history = store.records.history(HERE, "T", uuid(1))
        assert [version.vsn for version, _ in history] == list(range(1, 5 * THREADS + 2))
        assert [by.number for _, by in history] == list(range(1, 5 * THREADS + 2))
        times = [by.time for _, by in history]
        assert times == sorted(times)

    def test_two_who_read_what_the_other_writes_do_not_both_get_through(self, store: Any) -> None:
        """Write skew: each of many keeps the rule "one of the two stays 1" as it sees it."""
        store.records.commit(WHO, [put(1, a=1), put(2, a=1)])

        def attempt(writer: int) -> None:
            for turn in range(10):
                at, mine = store.records.read(HERE, "T", uuid(1 + (writer + turn) % 2))
                _, other = store.records.read(HERE, "T", uuid(2 - (writer + turn) % 2), at)
                both = decode_fields(mine.fields)["a"] == decode_fields(other.fields)["a"] == 1
                change = Change("T", mine.uuid, mine.vsn, '{"a":0}' if both else '{"a":1}')
                try:
                    store.records.commit(WHO, [change], Reads(at, {("T", other.uuid)}, {}))
                except (Stale, Conflict):
                    continue

        self.together(attempt)
        for at in range(1, store.records.last(HERE) + 1):
            assert sum(decode_fields(v.fields)["a"] for v in self.all(store, at=at)) >= 1

    def test_readers_see_whole_commits_while_others_write(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])

        def write(_: int) -> None:
            for base in range(1, 40):
                store.records.commit(WHO, [put(1, base=base), put(2, base=base)])

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write, 0)
            while not writing.done():
                answer = store.records.select(HERE, Query("T"))
                one, two = answer.versions
                assert (one.vsn, one.txn) == (two.vsn, two.txn) == (answer.at, answer.at)
                at, first = store.records.read(HERE, "T", uuid(1))
                assert first.txn == at
                assert store.records.read(HERE, "T", uuid(2), at)[1].txn == at
                earlier = max(1, at - 3)
                assert [v.txn for v in store.records.select(HERE, Query("T"), earlier).versions] == [earlier, earlier]
            writing.result()

    def test_a_number_that_was_seen_has_all_before_it(self, store: Any) -> None:
        """Many write in many domains; whoever follows the log misses nothing and sees nothing twice."""
        done = threading.Event()
        domains = [HERE, "other.example"]

        def follow(domain: str) -> list[Committed]:
            lines: list[Committed] = []
            while True:
                over = done.is_set()
                found = store.records.changes(domain, lines[-1].txn if lines else 0, 7)
                lines += found
                if over and not found:
                    return lines

        def write(writer: int) -> None:
            for turn in range(10):
                who = WHO._replace(domain=domains[turn % 2])
                store.records.commit(who, [put(writer * 100 + turn), put(writer * 100 + turn + 50)])

        with ThreadPoolExecutor(2) as pool:
            following = [pool.submit(follow, domain) for domain in domains]
            try:
                self.together(write)
            finally:
                done.set()
            for future in following:
                lines = future.result()
                assert [line.txn for line in lines] == [n for n in range(1, 5 * THREADS + 1) for _ in range(2)]
