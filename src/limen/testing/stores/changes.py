"""What the suites of a store of records share: how a store is opened again, and changes to try it with."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from limen.core.record.port import DELETE, ERASE, PUT, Change, Index, Keep, Reads, Transaction, Version
from limen.core.record.query import Query
from limen.core.record.record import decode_fields, encode_fields

WHO = Transaction("localhost", "ada", "root", "todo.add", "192.0.2.1", "why", 1_700_000_000.125)
HERE = "localhost"
THREADS = 8
INDEX = Index((("a", "int"),))


class Suite:
    """Of a store: how it is opened again."""

    store: Any

    def again(self, store: Any) -> Any:
        """The same data, opened a second time; None for a store that forgets."""
        return None

    def all(self, store: Any, domain: str = HERE, model: str = "T", at: int | None = None) -> list[Version]:
        """All records of a model, ordered by uuid."""
        answer = store.records.select(domain, Query(model), at)
        assert answer.at == (store.records.last(domain) if at is None else at)
        assert [v.uuid for v in answer.versions] == sorted(v.uuid for v in answer.versions)
        return [*answer.versions]

    def together(self, attempt: Callable[[int], Any]) -> None:
        """`attempt(n)` in THREADS threads at once."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(attempt, range(THREADS)))


def uuid(number: int) -> bytes:
    """The key of a record in these tests."""
    return number.to_bytes(16)


def put(
    number: int = 1,
    base: int = 0,
    a: Any = 1,
    *,
    kind: int = PUT,
    model: str = "T",
    keep: Keep = None,
    fields: str | None = None,
    index: Index | None = None,
) -> Change:
    """A change of the record of that number, to the fields {"a": a}."""
    text = encode_fields({"a": a}) if fields is None else fields
    values = None if index is None or kind in (DELETE, ERASE) else {"a": decode_fields(text).get("a")}
    return Change(model, uuid(number), base, text, kind, index, values, keep)


def reads(at: int, *keys: int, model: str = "T", where: Any = ()) -> Reads:
    """What a unit has read: records by their numbers, and the model by the conditions *where*."""
    return Reads(at, {(model, uuid(number)) for number in keys}, {model: list(where)} if where else {})
