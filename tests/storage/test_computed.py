"""What a model's index() computes is searched by as fields are, on every store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from storing import beside

from limen import exc, field
from limen.app.datastore import DataStore, Storage
from limen.core.record.record import Record
from limen.core.record.unit import Unit
from limen.store.sql import SQLStore


@dataclass
class Invoice:
    number: int
    customer: str
    due: date | None = None

    @classmethod
    def index(cls, record: Record) -> dict[str, Any]:
        return {
            "number": record.number,
            "year": record.due.year if record.due else None,
            "name": record.customer.lower(),
            "words": record.customer.lower().split(),
            "shard": record._uuid.int % 4,
        }


YEAR: Any = field("year")


@pytest.fixture
def invoices(store: Any) -> Storage:
    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Invoice)
    with storage("setup") as db:
        for n in range(40):
            due = None if n % 10 == 9 else date(2020 + n % 4, 1 + n % 12, 1)
            db.insert(Invoice, number=n, customer=f"Customer {n % 5}", due=due)
    return storage


def numbers(found: Any) -> list[int]:
    return sorted(record.number for record in found)


def year(record: Record) -> int | None:
    return record.due.year if record.due else None


SEARCHES: dict[str, tuple[Any, Callable[[Record], Any]]] = {
    "equal": (YEAR == 2022, lambda r: year(r) == 2022),
    "not": (YEAR != 2022, lambda r: year(r) != 2022),
    "none": (YEAR == None, lambda r: r.due is None),  # noqa: E711
    "range": (YEAR.between(2021, 2022), lambda r: year(r) in (2021, 2022)),
    "text": (field("name") == "customer 3", lambda r: r.customer == "Customer 3"),
    "case": (field("name") == "Customer 3", lambda r: False),
    "with a field": ((YEAR == 2022) & (field("number") < 20), lambda r: year(r) == 2022 and r.number < 20),
    "no column": (field("words") == ["customer", "3"], lambda r: r.customer == "Customer 3"),
    "or": ((YEAR == 2020) | (field("customer") == "Customer 1"), lambda r: year(r) == 2020 or "1" in r.customer),
    "uuid": (field("shard") == 1, lambda r: r._uuid.int % 4 == 1),
}


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("dirty", [False, True], ids=["stored", "own changes"])
def test_a_computed_column_says_what_a_function_says(invoices: Storage, how: str, dirty: bool) -> None:
    where, function = SEARCHES[how]
    with invoices("look") as db:
        if dirty:
            db.select_one(Invoice, field("number") == 2).due = date(2030, 1, 1)
            db.select_one(Invoice, field("number") == 3).customer = "CUSTOMER 3"
            db.delete(db.select_one(Invoice, field("number") == 6))
            db.insert(Invoice, number=99, customer="Customer 3", due=date(2022, 1, 1))
        wanted = numbers(db.select(Invoice, function))
        if how in ("text", "no column") and dirty:  # the function looks at the customer's exact name
            wanted = sorted([*wanted, 3])
        assert numbers(db.select(Invoice, where)) == wanted
        assert db.count(Invoice, where) == len(wanted)
        assert wanted or how == "case"


def test_the_class_has_fields_for_what_is_computed(invoices: Storage) -> None:
    columns: Any = Invoice
    with invoices() as db:
        assert numbers(db.select(Invoice, columns.year == 2021)) == numbers(db.find(Invoice, year=2021)) != []
        record = db.select_one(Invoice, columns.year == 2021)
        assert "year" not in record
        assert not hasattr(record, "year"), "it is no field"


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dirty", [False, True], ids=["stored", "own changes"])
def test_pages_in_the_order_of_a_computed_column_follow_each_other(
    invoices: Storage, descending: bool, dirty: bool
) -> None:
    order = [YEAR.desc() if descending else YEAR.asc(), field("name")]
    with invoices() as db:
        if dirty:
            for record in db.select(Invoice, field("number") < 5):
                record.due = date(2025, 1, 1)
            db.insert(Invoice, number=99, customer="AAA", due=date(2022, 1, 1))
        found: list[Any] = []
        after = None
        while True:
            page = db.select(Invoice, YEAR != 2023, order_by=order, limit=4, after=after)
            found += page
            after = page.cursor
            if after is None:
                break
        assert numbers(found) == numbers(db.select(Invoice, lambda r: year(r) != 2023))
        years = [year(record) or 0 for record in found]
        assert years == sorted(years, reverse=descending)
        for one, two in pairwise(found):
            assert year(one) != year(two) or one.customer.lower() <= two.customer.lower()


def test_the_past_is_searched_by_what_was_so_then(invoices: Storage) -> None:
    with invoices() as db:
        before = db.txn
        then = numbers(db.find(Invoice, year=2022))
    with invoices("later") as db:
        for record in db.find(Invoice, year=2022):
            record.due = date(2040, 1, 1)
    with invoices() as db:
        assert numbers(db.find(Invoice, year=2022)) == []
        assert numbers(db.find(Invoice, year=2040)) == then
        assert numbers(db.as_of(before).find(Invoice, year=2022)) == then
        assert db.as_of(before).find(Invoice, year=2040) == []


def test_explain_says_what_is_computed(invoices: Storage, store: Any) -> None:
    with invoices() as db:
        plan = db.explain(Invoice, YEAR == 2022, order_by=field("name"))
        assert plan.in_database is (store.url != "")
        assert plan.text.endswith("; name, year: what index() computes")
        assert "computes" not in db.explain(Invoice, field("number") == 1).text


@pytest.mark.parametrize("validated", [True, False], ids=["validated", "switched off"])
@pytest.mark.parametrize("how", ["select", "count", "find", "page"])
def test_write_skew_by_a_computed_column(
    invoices: Storage, monkeypatch: pytest.MonkeyPatch, validated: bool, how: str
) -> None:
    """The rule: one invoice of 2022 stays."""
    if not validated:
        monkeypatch.setattr(Unit, "_reads", lambda unit, side: None)
    looks: dict[str, Callable[[Any], int]] = {
        "select": lambda db: len(db.select(Invoice, YEAR == 2022)),
        "count": lambda db: int(db.count(Invoice, YEAR == 2022)),
        "find": lambda db: len(db.find(Invoice, year=2022)),
        "page": lambda db: len(db.select(Invoice, YEAR == 2022, order_by=YEAR, limit=5)),
    }
    with invoices("two are left") as db:
        *others, left, right = db.find(Invoice, year=2022)
        for record in others:
            db.delete(record)

    def away(db: Any, mine: Record) -> None:
        if looks[how](db) > 1:
            db.fetch(Invoice, mine._uuid).due = None

    def work() -> None:
        with invoices("one") as db:
            away(db, left)
            beside(lambda: invoices.run(away, right))

    if validated:
        with pytest.raises(exc.TransactionConflict):
            work()
    else:
        work()
    with invoices() as db:
        assert len(db.find(Invoice, year=2022)) == (1 if validated else 0)


def test_an_index_that_needs_a_real_record_is_searched_by_from_the_start(store: Any) -> None:
    """A program that has only read so far doesn't know what index() computes, and finds it all the same."""

    def begun() -> tuple[Storage, Any]:
        class Late:
            @classmethod
            def index(cls, record: Record) -> dict[str, Any]:
                return {"year": record.due.year}

        storage = Storage(lambda: DataStore(store))
        storage.add_models(None, Late)
        return storage, Late

    storage, late = begun()
    with storage("setup") as db:
        assert db.find(late, year=2022) == []
        for n in range(10):
            db.insert(late, due=date(2020 + n % 3, 1, 1))
    storage, late = begun()
    with storage("look") as db:
        assert db.count(late, YEAR == 2022) == 3
        assert len(db.select(late, late.year == 2022, order_by=late.year)) == 3
    storage, late = begun()
    with storage("look") as db:
        assert [r.due.year for r in db.select(late, YEAR > 2020, order_by=YEAR.desc(), limit=4)] == [2022] * 3 + [2021]


def test_a_hook_that_raises_at_a_write_leaves_nothing_behind(store: Any) -> None:
    class Lower:
        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"small": record.text.lower() if "text" in record else None}

    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Lower)

    def work(db: Any) -> None:
        db.insert(Lower, text="A")
        db.insert(Lower, text=5)

    with pytest.raises(AttributeError, match="lower"):
        storage.run(work)
    with storage() as db:
        assert db.count(Lower) == 0


async def test_async_units_search_by_what_is_computed(invoices: Storage) -> None:
    async with invoices("look") as db:
        assert numbers(await db.select(Invoice, YEAR == 2022)) != []
        assert len(await db.find(Invoice, year=2022)) == await db.count(Invoice, YEAR == 2022)


def test_a_relational_copy_has_what_is_computed(tmp_path: Any) -> None:
    """The copy is written by who follows, not by who commits: it computes, too."""
    stores = [SQLStore(f"sqlite:///{tmp_path / name}.db") for name in ("records", "copy")]
    storage = Storage(lambda: DataStore(stores[0], relational=stores[1]))
    storage.add_models(None, Invoice)
    try:
        for n in range(8):
            with storage("setup") as db:
                db.insert(Invoice, number=n, customer="A", due=date(2020 + n % 4, 1, 1))
                assert len(db.find(Invoice, year=2020 + n % 4)) == n // 4 + 1
        with storage() as db:
            assert numbers(db.find(Invoice, year=2022)) == [2, 6]
            plan = db.explain(Invoice, YEAR == 2022)
            assert plan.in_database
            assert "relational" in plan.text
    finally:
        for store in stores:
            store.close()
