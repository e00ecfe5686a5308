"""Records in one store, searched in another."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from copies import commit, history, records, who

from limen import exc
from limen.core.record import query
from limen.core.record.expression import field
from limen.core.record.port import DELETE, Answer, Change, Index
from limen.core.record.query import Query, ordering
from limen.core.record.record import decode_fields
from limen.store import relational
from limen.store.relational import Relational
from limen.store.sql import SQLStore


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
        history(both, 6, 150, erasing=False)  # the past that was found must still be there when it is compared

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
