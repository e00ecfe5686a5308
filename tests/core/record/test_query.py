from __future__ import annotations

import math
from decimal import Decimal, FloatOperation, localcontext
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_expression import FIELDS, VALUES

from limen import exc
from limen.core.record.expression import Order, field
from limen.core.record.kinds import kind_and_key
from limen.core.record.query import (
    Cursor,
    Page,
    Query,
    after,
    checked_limit,
    cursor,
    cut,
    ordering,
    page,
    read_cursor,
    sort,
)

A, B = field("a"), field("b")
Item = tuple[dict[str, Any], bytes]
ORDERS = st.lists(
    st.builds(Order, st.sampled_from(["a", "b", "c"]), st.booleans()), max_size=3, unique_by=lambda term: term.field
).map(tuple)
ITEMS = st.lists(
    st.tuples(FIELDS, st.integers(0, 40).map(lambda n: bytes(15) + bytes([n]))), max_size=12, unique_by=lambda i: i[1]
)


def row(item: Item) -> Item:
    return item


def uuids(items: list[Item]) -> list[bytes]:
    return [uuid for _, uuid in items]


@given(ITEMS, ORDERS, st.randoms())
def test_the_order_is_total_and_does_not_depend_on_what_came_first(items: list[Item], order: Any, random: Any) -> None:
    once = uuids(sort(items, order, row))
    random.shuffle(items)
    assert uuids(sort(items, order, row)) == once


@given(ITEMS, ORDERS)
def test_each_pair_stands_as_its_first_different_term_says(items: list[Item], order: tuple[Order, ...]) -> None:
    ordered = sort(items, order, row)
    for (before, one), (behind, two) in pairwise(ordered):
        for term in order:
            x, y = kind_and_key(before.get(term.field)), kind_and_key(behind.get(term.field))
            if x != y:
                assert (x > y) is term.descending
                break
        else:
            assert (one > two) is (order[-1].descending if order else False)


@given(ITEMS, ORDERS)
def test_all_terms_turned_round_is_the_order_turned_round(items: list[Item], order: tuple[Order, ...]) -> None:
    if order:
        turned = tuple(Order(term.field, not term.descending) for term in order)
        assert uuids(sort(items, turned, row)) == uuids(sort(items, order, row))[::-1]


@given(ITEMS, ORDERS, st.integers(1, 5))
def test_paging_gives_each_exactly_once_in_order(items: list[Item], order: tuple[Order, ...], limit: int) -> None:
    found: list[Item] = []
    place = None
    for _ in range(len(items) + 1):
        part = page(items, order, limit, place, row)
        found += part
        if part.cursor is None:
            break
        assert len(part) == limit
        place = read_cursor(part.cursor, order)
    assert uuids(found) == uuids(sort(items, order, row))


@given(ITEMS, ORDERS, FIELDS, st.integers(0, 40).map(lambda n: bytes(15) + bytes([n])))
def test_behind_a_place_is_what_sorting_puts_there(
    items: list[Item], order: tuple[Order, ...], fields: dict[str, Any], uuid: bytes
) -> None:
    items = [item for item in items if item[1] != uuid]
    ordered = uuids(sort([*items, (fields, uuid)], order, row))
    behind = after(read_cursor(cursor(order, fields, uuid), order), order)
    assert {u for f, u in items if behind(f, u)} == {*ordered[ordered.index(uuid) + 1 :]}


@given(VALUES, st.binary(min_size=16, max_size=16))
def test_a_cursor_carries_a_value_of_every_kind(value: Any, uuid: bytes) -> None:
    order = ordering(A.desc())
    text = cursor(order, {"a": value}, uuid)
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in text)
    place = read_cursor(text, order)
    assert place.uuid == uuid
    assert kind_and_key(place.values[0]) == kind_and_key(value)
    assert type(value) is not float or math.isnan(value) or place.values == (value,)


@pytest.mark.parametrize("other", [None, B, A.desc(), [A, B], [B, A]])
def test_a_cursor_of_another_order_is_refused(other: Any) -> None:
    with pytest.raises(exc.InvalidValue, match="another order"):
        read_cursor(cursor(ordering(A), {"a": 1}, bytes(16)), ordering(other))


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40), st.none(), st.integers()))
@example("WzFd")
@example("ä")
@example("W1tbW1tb" * 5000)
def test_what_is_no_cursor_is_refused(text: Any) -> None:
    with pytest.raises(exc.InvalidValue):
        read_cursor(text, ordering(A))


@given(FIELDS, st.data())
def test_a_damaged_cursor_is_refused_or_a_place(fields: dict[str, Any], data: Any) -> None:
    order = ordering([A, B.desc()])
    text = bytearray(cursor(order, fields, bytes(16)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from(b'AZaz09-_ ="{}$'))
    try:
        place = read_cursor(text.decode(), order)
    except exc.InvalidValue:
        return
    after(place, order)({"a": 1, "b": "x"}, bytes(16))


@pytest.mark.parametrize(
    "values",
    [
        '[{"$decimal":"1E99999"}]',
        '[{"$nope":1}]',
        "[1,2]",
        "[]",
        "[" * 500 + "]" * 500,
        "[" * 50_000,
        '[{"$set":[[]]}]',
        "{}",
    ],
)
def test_a_forged_cursor_is_refused(values: str) -> None:
    from base64 import urlsafe_b64encode

    import msgspec

    order = ordering(A)
    digest = msgspec.json.decode(urlsafe_b64(cursor(order, {}, bytes(16))))[0]
    for uuid, found in (("00" * 16, values), ("00" * 15, "[1]"), ("00" * 17, "[1]"), ("zz" * 16, "[1]")):
        forged = urlsafe_b64encode(f'["{digest}","{uuid}",{found}]'.encode()).decode()
        with pytest.raises(exc.InvalidValue):
            read_cursor(forged, order)


def urlsafe_b64(text: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_trap_of_the_programs_decimal_context_does_not_keep_from_sorting() -> None:
    order = ordering(A)
    items = [({"a": value}, bytes(16)) for value in (0.5, Decimal("0.1"), 1, Decimal(2))]
    with localcontext() as context:
        context.traps[FloatOperation] = True
        assert [fields["a"] for fields, _ in sort(items, order, row)] == [Decimal("0.1"), 0.5, 1, 2]
        assert after(Cursor((Decimal("0.1"),), bytes(16)), order)({"a": 0.5}, bytes(16))


# -- order_by and limit
def test_order_by_takes_fields_and_terms() -> None:
    assert ordering(None) == ()
    assert ordering(A) == (Order("a"),) == ordering([A.asc()])
    assert ordering((A.desc(), B)) == (Order("a", True), Order("b"))
    assert repr(ordering([A.desc(), B])) == "(field('a').desc(), field('b').asc())"
    assert len({*ordering([A, B]), Order("a")}) == 2


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (A == 1, "not the condition"),
        (lambda record: record.a, "sorted"),
        ("a", r"field\('a'\)\.desc"),
        ([A, "b"], r"field\('b'\)"),
        (5, "not int"),
        ([A, A.desc()], "twice"),
    ],
)
def test_what_cannot_order_says_what_to_write(wrong: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        ordering(wrong)


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, "5"])
def test_a_limit_is_a_whole_number_of_one_or_more(wrong: Any) -> None:
    with pytest.raises(exc.InvalidValue, match="limit is a whole number"):
        checked_limit(wrong)
    assert (checked_limit(None), checked_limit(7)) == (None, 7)


def test_the_last_page_has_no_cursor() -> None:
    items = [({}, bytes([n]) * 16) for n in range(3)]
    assert cut(items, (), 3, row).cursor is None
    assert cut(items, (), None, row).cursor is None
    assert cut(items, (), 2, row).cursor is not None
    assert isinstance(cut(items, (), 2, row), list)
    assert Page().cursor is None


def test_a_query_is_a_key() -> None:
    one = Query("Todo", None, A == 1, ordering(A), 5, Cursor((1,), bytes(16)))
    assert one == Query("Todo", None, A == 1, ordering(A), 5, Cursor((1,), bytes(16)))
    assert hash(one) == hash(Query("Todo", None, A == 1, ordering(A), 5, Cursor((1,), bytes(16))))
