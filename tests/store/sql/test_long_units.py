"""A unit that has read much, long ago, does not hold the lock while all that is looked at again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limen.core.record.expression import field
from limen.core.record.port import Change, Conflict, Reads, Transaction
from limen.store.sql import SQLStore
from limen.store.sql.commit import FAR, Commit
from limen.store.sql.engine import Hand, Question, Row

WHO = Transaction("localhost", "ada", None, "", "", "", 1.0)
OTHERS = FAR + 50


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLStore]:
    url = f"sqlite:///{tmp_path / 'a.db'}" if request.param == "sqlite" else request.getfixturevalue("tables_url")
    store = SQLStore(url)
    yield store
    store.close()


def change(number: int, value: int = 0, base: int = 0) -> Change:
    return Change("T", number.to_bytes(16), base, f'{{"a":{value}}}')


def commit(store: SQLStore, reads: Reads) -> int:
    return store.records.commit(WHO, [change(99_999)], reads)


def submit(store: SQLStore, reads: Reads) -> int:
    return store.records.submit(WHO, [change(99_999)], reads).result(20)


@pytest.fixture
def asked_under_the_lock(store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many questions were asked by each try of a commit, all that is looked at included."""
    counts: list[int] = []
    call = Commit.__call__

    class Counting:
        def __init__(self, hand: Hand) -> None:
            self._hand = hand

        def ask(self, *questions: Question) -> list[list[Row]]:
            counts[-1] += len(questions)
            return self._hand.ask(*questions)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._hand, name)

    def counted(self: Commit, hand: Hand) -> int:
        counts.append(0)
        return call(self, Counting(hand))  # type: ignore[arg-type]

    monkeypatch.setattr(Commit, "__call__", counted)
    return counts


def others(store: SQLStore) -> int:
    """What is committed after the unit's reads; the number as of which these were."""
    at = store.records.commit(WHO, [change(0)])
    for number in range(1, OTHERS + 1):
        store.records.commit(WHO, [change(number, 2)])
    return at


@pytest.mark.parametrize("way", [commit, submit])
def test_what_was_committed_long_ago_is_looked_at_without_the_lock(
    store: SQLStore, way: Callable[[SQLStore, Reads], int], asked_under_the_lock: list[int]
) -> None:
    at = others(store)
    asked_under_the_lock.clear()
    assert way(store, Reads(at, set(), {"T": [field("a") == 1]})) == OTHERS + 2
    assert len(asked_under_the_lock) == 2  # one try finds out how far behind it is
    assert max(asked_under_the_lock) < 10


@pytest.mark.parametrize("way", [commit, submit])
@pytest.mark.parametrize("reads", [{"keys": {("T", (7).to_bytes(16))}}, {"models": {"T": [field("a") == 2]}}])
def test_a_conflict_of_long_ago_is_found(
    store: SQLStore, way: Callable[[SQLStore, Reads], int], reads: dict[str, Any]
) -> None:
    at = others(store)
    with pytest.raises(Conflict):
        way(store, Reads(**{"at": at, "keys": set(), "models": {}, **reads}))
    assert store.records.last("localhost") == OTHERS + 1


def test_what_is_committed_while_one_looks_ahead_is_looked_at_under_the_lock(store: SQLStore) -> None:
    at = others(store)
    work = Commit(
        store.records._engine,
        store.records.indexes,
        WHO,
        [change(99_999)],
        Reads(at, set(), {"T": [field("a") == 1]}),
    )
    work.look_ahead(store.records.last("localhost"))
    store.records.commit(WHO, [change(5, 1, base=1)])
    with pytest.raises(Conflict):
        store.records._engine.write(work, "localhost", work.happened)
