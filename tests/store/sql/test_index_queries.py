"""What a database answers by its indexes is what Python finds, at every number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from column_values import VALUES, mostly
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from limen.core.record.expression import (
    And,
    Compare,
    Contains,
    Expression,
    IsIn,
    IsNull,
    Not,
    Or,
    Order,
    StartsWith,
    field,
)
from limen.core.record.port import DELETE, PUT, REVIVE, Answer, Change, Index, Transaction
from limen.core.record.query import Cursor, Query, page
from limen.core.record.record import decode_fields, encode_fields
from limen.store.sql import SQLStore
from limen.store.sql.index.lower import MOST

KINDS = ("int", "text", "float", "decimal", "datetime")
FIELDS = {f"{kind}_": kind for kind in KINDS}
INDEX = Index(tuple(FIELDS.items()))
EVERY_KIND = Index(tuple((f"{kind}_", kind) for kind in VALUES))
numbers = count(1)


def who(domain: str) -> Transaction:
    return Transaction(domain, None, None, "", "", "", 1.0)


def key(number: int) -> bytes:
    return number.to_bytes(16)


def put(number: int, base: int = 0, index: Index | None = INDEX, kind: int = PUT, **fields: Any) -> Change:
    values = None if index is None else {name: fields.get(name) for name, _ in index.columns}
    model = "Kinds" if index is EVERY_KIND else "T"
    return Change(model, key(number), base, encode_fields(fields), kind, index, values)


def delete(number: int, base: int) -> Change:
    return Change("T", key(number), base, "", DELETE, INDEX)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLStore]:
    store = SQLStore(f"sqlite:///{tmp_path_factory.mktemp('store') / 'a.db'}")
    yield store
    store.close()


@pytest.fixture(scope="module")
def postgres(postgresql: Any, postgresql_template: str) -> Iterator[SQLStore]:
    store = SQLStore(postgresql.make(postgresql_template))
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> SQLStore:
    found: SQLStore = request.getfixturevalue(request.param)
    return found


# -- strategies -----------------------------------------------------------------------------------
def _compare(name: str) -> st.SearchStrategy[Expression]:
    literal = mostly(FIELDS[name]).filter(lambda value: value is not None)
    return st.builds(Compare, st.just(name), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), literal)


def _text(name: str) -> st.SearchStrategy[Expression]:
    return st.builds(
        lambda kind, text: kind(name, text),
        st.sampled_from([Contains, StartsWith]),
        st.sampled_from(["", "a", "ab", "b", "\0", "a\0", "\U0010ffff", "é"]),
    )


def _is_in(name: str) -> st.SearchStrategy[Expression]:
    return st.builds(lambda values: IsIn(name, tuple(values)), st.lists(mostly(FIELDS[name]), max_size=5))


leaves = st.sampled_from(list(FIELDS)).flatmap(
    lambda name: st.one_of(_compare(name), _compare(name), _is_in(name), st.just(IsNull(name)), _text(name))
)
beside = st.builds(lambda value: Compare("beside", "==", value), st.integers(0, 1))
expressions = st.recursive(
    st.one_of(*[leaves] * 9, beside),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, max_size=3)),
    ),
    max_leaves=6,
)
conditions = st.one_of(
    leaves,
    leaves.map(Not),
    st.builds(lambda one, two: And((one, two)), leaves, leaves),
    st.builds(lambda one, two: Or((one, Not(two))), leaves, leaves),
    expressions,
)
"""Mostly such as the database answers alone."""
orders = st.permutations([*FIELDS]).flatmap(
    lambda names: st.lists(st.booleans(), max_size=3).map(
        lambda ways: tuple(Order(name, way) for name, way in zip(names, ways, strict=False))
    )
)
records = st.fixed_dictionaries(
    {"beside": st.integers(0, 1)}, optional={name: mostly(kind) for name, kind in FIELDS.items()}
)
slow = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


class Shelf:
    """Records of a domain of their own, and what they were at each number."""

    def __init__(self, store: SQLStore) -> None:
        self.records = store.records
        self.domain = f"domain {next(numbers)}"
        self.now: dict[bytes, tuple[int, dict[str, Any] | None]] = {}
        self.states: dict[int, dict[bytes, dict[str, Any]]] = {0: {}}

    def commit(self, *changes: Change) -> int:
        number = self.records.commit(who(self.domain), changes)
        for change in changes:
            fields = None if change.deleted else decode_fields(change.fields)
            self.now[change.uuid] = change.base + 1, fields
        self.states[number] = {uuid: fields for uuid, (_, fields) in self.now.items() if fields is not None}
        return number

    def change(self, number: int, fields: dict[str, Any] | None) -> Change | None:
        vsn, before = self.now.get(key(number), (0, None))
        if fields is None:
            return None if before is None else delete(number, vsn)
        return put(number, vsn, kind=REVIVE if vsn and before is None else PUT, **fields)

    def expected(self, at: int, query: Query) -> list[bytes]:
        where = query.where
        rows = [(fields, uuid) for uuid, fields in self.states[at].items() if where is None or where.matches(fields)]
        return [uuid for _, uuid in page(rows, query.order, query.limit, query.after, lambda row: row)]


def found(answer: Answer, query: Query) -> list[bytes]:
    """What the unit of work makes of an answer."""
    rows = [(decode_fields(version.fields), version.uuid) for version in answer.versions]
    if not answer.complete:
        ordered = page(rows, query.order, None, query.after, lambda row: row)
        assert ordered == rows, "in order, behind the cursor"
        assert query.limit is None or len(rows) <= query.limit
    matching = [row for row in rows if query.where is None or query.where.matches(row[0])]
    if answer.complete:
        matching = page(matching, query.order, query.limit, query.after, lambda row: row)
    return [uuid for _, uuid in matching]


def asked(shelf: Shelf, query: Query, at: int | None) -> tuple[int, list[bytes]]:
    """All that the store has for a query; asks on, as the unit of work does."""
    uuids: list[bytes] = []
    place = query.after
    while True:
        left = None if query.limit is None else query.limit - len(uuids)
        part = Query(query.model, query.index, query.where, query.order, left, place)
        answer = shelf.records.select(shelf.domain, part, at)
        at = answer.at
        uuids += found(answer, part)
        if answer.complete or left is None or len(answer.versions) < left or len(uuids) == query.limit:
            return at, uuids
        last = answer.versions[-1]
        fields = decode_fields(last.fields)
        place = Cursor(tuple(fields.get(term.field) for term in query.order), last.uuid)


# -- the claims -----------------------------------------------------------------------------------
@slow
@given(
    first=st.lists(records, min_size=1, max_size=8),
    later=st.lists(st.tuples(st.integers(1, 10), st.none() | records), max_size=4),
    where=st.one_of(st.none(), conditions, conditions, conditions),
    order=orders,
    limit=st.none() | st.integers(1, 4),
    cursor=st.one_of(st.none(), st.integers(0, 7), st.integers(0, 7), records),
)
@example([{"beside": 0, "int_": 1}, {"beside": 0}], [], None, (Order("int_", True),), 1, 0)
def test_an_index_finds_what_python_finds(
    store: SQLStore,
    first: list[dict[str, Any]],
    later: list[tuple[int, dict[str, Any] | None]],
    where: Expression | None,
    order: tuple[Order, ...],
    limit: int | None,
    cursor: int | dict[str, Any] | None,
) -> None:
    shelf = Shelf(store)
    shelf.commit(*(put(number, **fields) for number, fields in enumerate(first, 1)))
    for number, fields in later:
        change = shelf.change(number, fields)
        if change is not None:
            shelf.commit(change)
    if isinstance(cursor, int):
        cursor = first[cursor % len(first)]
    place = None if cursor is None else Cursor(tuple(cursor.get(term.field) for term in order), key(3))
    query = Query("T", INDEX, where, order, limit, place)
    last = max(shelf.states)
    event(shelf.records.select(shelf.domain, query).how[:12])
    assert asked(shelf, query, None) == (last, shelf.expected(last, query))
    for at in shelf.states:
        assert asked(shelf, query, at) == (at, shelf.expected(at, query))
    counting = Query("T", INDEX, where, (), limit)
    for at in (None, *shelf.states):
        counted = shelf.records.count(shelf.domain, counting, at)
        then = last if at is None else at
        assert counted is None or counted == (then, len(shelf.expected(then, counting)))


@slow
@given(
    kind=st.sampled_from([*VALUES]),
    data=st.data(),
    op=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    descending=st.booleans(),
)
def test_each_kind_of_column_compares_and_sorts_as_python_does(
    store: SQLStore, kind: str, data: st.DataObject, op: str, descending: bool
) -> None:
    shelf, name = Shelf(store), f"{kind}_"
    rows = data.draw(st.lists(VALUES[kind], min_size=1, max_size=8))
    shelf.commit(*(put(at, index=EVERY_KIND, **{name: value}) for at, value in enumerate(rows, 1)))
    literal = data.draw(st.sampled_from(rows) | VALUES[kind])
    for where in (Compare(name, op, literal), Not(Compare(name, op, literal)), None):
        query = Query("Kinds", EVERY_KIND, where, (Order(name, descending),), 5)
        answer = shelf.records.select(shelf.domain, query)
        assert not answer.complete
        assert found(answer, query) == shelf.expected(1, query)


@pytest.mark.parametrize("ways", [(False,), (True,), (False, False), (True, True), (False, True), (True, False)])
def test_pages_go_through_every_record_once(store: SQLStore, ways: tuple[bool, ...]) -> None:
    shelf = Shelf(store)
    values = [None, 0, 0, 1, 1.5, "text", 2**64, float("nan")]
    texts = [None, "a", "b", 5]
    rows = [{"int_": value, "text_": text} for value in values for text in texts]
    shelf.commit(*(put(number * 7 % 101, **row) for number, row in enumerate(rows, 1)))
    order = tuple(Order(name, way) for name, way in zip(("int_", "text_"), ways, strict=False))
    for fits in (None, ~field("int_").is_in(["text", 2**64]) & (field("text_") != 5)):
        everything = shelf.expected(1, Query("T", INDEX, fits, order))
        seen: list[bytes] = []
        place = None
        while len(seen) < len(everything):
            page = asked(shelf, Query("T", INDEX, fits, order, 3, place), None)[1]
            assert page == everything[len(seen) : len(seen) + 3]
            seen += page
            last = shelf.states[1][seen[-1]]
            place = Cursor(tuple(last[term.field] for term in order), seen[-1])


def test_the_rest_of_a_condition_is_looked_at_in_python(store: SQLStore) -> None:
    shelf = Shelf(store)
    shelf.commit(*(put(at, int_=at % 2, beside=at) for at in range(1, 9)))
    query = Query("T", INDEX, (field("int_") == 1) & (field("beside") > 3))
    answer = shelf.records.select(shelf.domain, query)
    assert not answer.complete
    assert len(answer.versions) == 4
    assert "(int_); then in Python: field('beside') > 3" in answer.how
    assert shelf.records.count(shelf.domain, query) is None


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (Query("T", INDEX, field("beside") == 1), "in Python: T has no index column beside"),
        (Query("T", INDEX, field("int_") == 1, (Order("beside"),)), "in Python: T has no index column beside"),
        (Query("T", INDEX), "in Python: all records are asked for"),
        (Query("T", INDEX, field("int_").is_in(range(MOST + 1))), "in Python: the condition takes more parameters"),
        (Query("Unheard", None, field("a") == 1), "in Python: Unheard has no index"),
    ],
)
def test_an_answer_says_why_it_was_found_in_python(store: SQLStore, query: Query, why: str) -> None:
    shelf = Shelf(store)
    shelf.commit(put(1, int_=1))
    answer = shelf.records.select(shelf.domain, query)
    assert answer.complete
    assert answer.how.startswith(why)


def test_records_in_the_order_of_their_making_need_no_index(store: SQLStore) -> None:
    shelf = Shelf(store)
    shelf.commit(*(put(at, int_=at) for at in range(1, 9)))
    first = shelf.commit(delete(2, 1))
    query = Query("T", INDEX, None, (), 3, Cursor((), key(1)))
    answer = shelf.records.select(shelf.domain, query)
    assert [version.uuid for version in answer.versions] == [key(3), key(4), key(5)]
    assert not answer.complete
    assert asked(shelf, query, first - 1)[1] == [key(2), key(3), key(4)]
    assert asked(shelf, Query("T", INDEX, None, (), 3, Cursor((), key(99))), None) == (2, [])
    assert asked(shelf, Query("Unheard", None, None, (), 3), None) == (2, [])
    assert store.records.select("nowhere", query) == Answer(0, [], False, answer.how)


def test_what_has_changed_since_is_found_as_it_was(store: SQLStore) -> None:
    shelf = Shelf(store)
    shelf.commit(*(put(at, int_=1, text_=f"{at}") for at in range(1, 6)))
    shelf.commit(put(1, 1, int_=2), delete(2, 1), put(9, int_=1, text_="9"))
    query = Query("T", INDEX, field("int_") == 1, (Order("text_", True),))
    answer = shelf.records.select(shelf.domain, query, 1)
    assert (answer.at, answer.complete) == (1, False)
    assert [decode_fields(version.fields)["text_"] for version in answer.versions] == ["5", "4", "3", "2", "1"]
    assert "2 that have changed since" in answer.how
    assert shelf.records.count(shelf.domain, query, 1) == (1, 5)


def test_where_very_much_has_changed_since_it_is_found_in_python(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limen.store.sql.index.query.MOST_CHANGED", 2)
    shelf = Shelf(store)
    shelf.commit(*(put(at, int_=1) for at in range(1, 6)))
    shelf.commit(*(put(at, 1, int_=2) for at in range(1, 4)))
    query = Query("T", INDEX, field("int_") == 1)
    assert shelf.records.select(shelf.domain, query, 1).how.startswith("in Python: as of the past")
    assert asked(shelf, query, 1) == (1, shelf.expected(1, query))


def test_tenants_do_not_meet_in_an_index(store: SQLStore) -> None:
    mine, other = Shelf(store), Shelf(store)
    mine.commit(put(1, int_=1), put(2, int_="odd"))
    other.commit(put(3, int_=1), put(4, int_="odd"), put(5, int_=[1]))
    for where in (None, field("int_") == 1, field("int_") != 1, field("int_") == None):  # noqa: E711
        for order in ((), (Order("int_"),)):
            query = Query("T", INDEX, where, order, 100)
            assert asked(mine, query, None)[1] == mine.expected(1, query)
            assert "2 with values" not in mine.records.select(mine.domain, query).how
        assert mine.records.count(mine.domain, Query("T", INDEX, where)) in (None, (1, 2))


# -- plans ----------------------------------------------------------------------------------------
def explained(store: SQLStore, query: Query) -> str:
    """How the database finds what *query* asks for."""
    engine = store.records._engine
    rows, said = engine.rows, []

    def listen(statement: str, parameters: Any = (), domain: str | None = None) -> Any:
        if statement.lstrip("(").startswith("SELECT (SELECT"):
            explain = "EXPLAIN QUERY PLAN " if engine.dialect == "sqlite" else "EXPLAIN "
            said.extend(str(row[-1]) for row in rows(explain + statement, parameters, domain))
        return rows(statement, parameters, domain)

    engine.rows = listen  # type: ignore[method-assign]
    try:
        assert not store.records.select("planned", query).complete
    finally:
        engine.rows = rows  # type: ignore[method-assign]
    return "\n".join(said)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def planned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLStore]:
    """A store with so many records that a database goes by an index."""
    if request.param == "sqlite":
        store = SQLStore(f"sqlite:///{tmp_path_factory.mktemp('planned') / 'a.db'}")
    else:
        template = request.getfixturevalue("postgresql_template")
        store = SQLStore(request.getfixturevalue("postgresql").make(template))
    with closing(store):
        rows = [{"int_": at % 100, "text_": f"{at * 7919 % 5000:04}", "float_": None} for at in range(5000)]
        store.records.commit(who("planned"), [put(at + 1, **row) for at, row in enumerate(rows)])
        if store.records._engine.dialect == "postgresql":
            store.records._engine.write(lambda hand: hand.tell("ANALYZE"))
        yield store


PLACE = Cursor((50,), key(50))


@pytest.mark.parametrize(
    ("where", "order", "place", "column"),
    [
        (field("int_") == 5, (), None, "int_"),
        (field("int_") == 5, (), Cursor((), key(900)), "int_"),
        ((field("text_") >= "1000") & (field("text_") < "1005"), (), None, "text_"),
        (field("text_").startswith("100"), (), None, "text_"),
        (field("text_").is_in(["1", "1000", "2000"]), (), None, "text_"),
        (None, (Order("int_"),), None, "int_"),
        (None, (Order("int_", True),), None, "int_"),
        (None, (Order("int_"),), PLACE, "int_"),
        (None, (Order("int_", True),), PLACE, "int_"),
        (None, (Order("int_"), Order("text_", True)), Cursor((50, "2000"), key(50)), "int_"),
        (field("float_") == None, (Order("int_", True),), PLACE, "int_"),  # noqa: E711
    ],
    ids=str,
)
def test_the_database_goes_by_the_index(
    planned: SQLStore, where: Expression | None, order: tuple[Order, ...], place: Cursor | None, column: str
) -> None:
    plan = explained(planned, Query("T", INDEX, where, order, 10, place))
    number = [*sorted(FIELDS)].index(column)
    assert f"_{number} " in plan.replace("(", " ") or f"_{number}\n" in plan
    table = "i" if planned.records._engine.dialect == "sqlite" else "record"
    assert f"SCAN {table}\n" not in plan + "\n"
    assert "Seq Scan on index" not in plan
    assert "Seq Scan on record" not in plan
    if len(order) == 1:  # read in order, not sorted
        assert "TEMP B-TREE" not in plan
        assert "Sort  (" not in plan


def test_a_page_takes_as_long_wherever_it_is(planned: SQLStore) -> None:
    """What is behind the cursor is found by the index: no plan goes through what is before it."""
    query = Query("T", INDEX, None, (Order("text_", True),), 10, Cursor(("2500",), key(1)))
    answer = planned.records.select("planned", query)
    texts = [decode_fields(version.fields)["text_"] for version in answer.versions]
    assert texts == sorted(texts, reverse=True)
    assert texts[0] == "2499"


def test_instants_are_compared_in_the_database(store: SQLStore) -> None:
    shelf = Shelf(store)
    shelf.commit(*(put(at, datetime_=datetime(2026, 1, at, tzinfo=UTC)) for at in range(1, 6)))
    query = Query("T", INDEX, field("datetime_") >= datetime(2026, 1, 3, tzinfo=UTC), (Order("datetime_"),))
    answer = shelf.records.select(shelf.domain, query)
    assert not answer.complete
    assert "do not fit" not in answer.how
    assert [version.uuid for version in answer.versions] == [key(3), key(4), key(5)]
