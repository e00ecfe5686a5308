"""Columns hold what fits them, exactly as expressions compare it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from column_values import VALUES, values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from limen.core.record.kinds import NAN, NONE, kind_and_key
from limen.store.sql.index.columns import (
    BIGGEST,
    COMPARES,
    LONGEST,
    ODD,
    TYPES,
    behind,
    decimal_text,
    fitter,
    floor,
    kind_of,
)

DIALECTS = ("sqlite", "postgresql")
NUMBERS = VALUES["int"] | VALUES["float"] | VALUES["decimal"] | st.booleans()


class Colour(Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


def test_each_kind_has_a_type_in_both_databases() -> None:
    assert TYPES.keys() == COMPARES.keys() == VALUES.keys()
    assert all(types.keys() == set(DIALECTS) for types in TYPES.values())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_fits_compares_as_it_does_in_python(kind: str, dialect: Any, data: st.DataObject) -> None:
    fit = fitter(kind, dialect)
    a, b = (data.draw(VALUES[kind] | values(), label="value") for _ in "ab")
    fits_a, fits_b = fit(a), fit(b)
    if fits_a is ODD or fits_b is ODD:
        return
    key_a, key_b = kind_and_key(a), kind_and_key(b)
    assert key_a[0] == key_b[0] == COMPARES[kind], "what fits is of the kind that the column compares"
    assert (fits_a < fits_b) == (key_a < key_b)
    assert (fits_a == fits_b) == (key_a == key_b)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_comparison_with_any_literal_is_one_between_values_that_fit(
    kind: str, dialect: Any, data: st.DataObject
) -> None:
    fit = fitter(kind, dialect)
    value, literal = (data.draw(VALUES[kind] | values(), label=label) for label in ("value", "literal"))
    fits = fit(value)
    if fits is ODD or kind_and_key(literal)[0] != COMPARES[kind]:
        return
    place = floor(kind, dialect, literal)
    less, equal = kind_and_key(value) < kind_and_key(literal), kind_and_key(value) == kind_and_key(literal)
    if place is None:
        assert not less
        assert not equal
    else:
        low, exact = place
        assert equal == (exact and fits == low)
        assert less == (fits < low if exact else fits <= low)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**63),
        ("int", -(2**63) - 1),
        ("int", 1.5),
        ("int", "1"),
        ("int", math.inf),
        ("int", Decimal("1e40")),
        ("bool", 2),
        ("bool", "True"),
        ("float", math.nan),
        ("float", 2**53 + 1),
        ("float", 10**400),
        ("float", Decimal("0.1")),
        ("float", Decimal("Infinity")),
        ("decimal", Decimal("NaN")),
        ("decimal", Decimal("sNaN")),
        ("decimal", math.inf),
        ("decimal", "1"),
        ("text", b"a"),
        ("text", "é" * (LONGEST // 2 + 1)),
        ("bytes", bytes(LONGEST + 1)),
        ("uuid", "00000000-0000-0000-0000-000000000001"),
        ("date", datetime(2026, 1, 1)),
        ("time", time(1, tzinfo=UTC)),
        ("datetime", datetime(2026, 1, 1)),
        ("datetime", date(2026, 1, 1)),
        ("datetime", datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
        ("timedelta", timedelta.max),
        ("timedelta", 1),
        ("text", ["a"]),
        ("text", object()),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_does_not_fit_is_odd(kind: str, value: Any, dialect: Any) -> None:
    assert fitter(kind, dialect)(value) is ODD


@pytest.mark.parametrize(
    ("kind", "value", "place"),
    [
        ("float", Decimal("0.1"), (math.nextafter(0.1, 0), False)),
        ("float", Decimal("0.5"), (0.5, True)),
        ("float", 2**53 + 1, (float(2**53), False)),
        ("float", 10**400, (math.nextafter(math.inf, 0), False)),
        ("float", -(10**400), (-math.inf, False)),
        ("int", Decimal("-2.5"), (-3, False)),
        ("int", -math.inf, None),
        ("int", math.inf, (BIGGEST, False)),
        ("int", -(2**63) - 1, None),
        ("bool", 0.5, (False, False)),
        ("bool", 7, (True, False)),
        ("decimal", math.inf, ("3", False)),
        ("decimal", -math.inf, None),
        ("datetime", datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), None),
        ("datetime", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), ("9999-12-31T23:59:59.999999", False)),
        ("timedelta", timedelta.max, (BIGGEST, False)),
        ("timedelta", timedelta.min, None),
    ],
)
def test_a_literal_that_does_not_fit_stands_behind_the_last_value_below_it(kind: str, value: Any, place: Any) -> None:
    assert floor(kind, "sqlite", value) == place


def test_a_null_character_is_no_text_of_postgresql() -> None:
    assert fitter("text", "postgresql")("a\0b") is ODD
    assert fitter("text", "sqlite")("a\0b") == "a\0b"
    assert floor("text", "postgresql", "a\0b") == ("a", False)


def test_numbers_fit_by_value_not_by_type() -> None:
    assert [fitter("int", "sqlite")(value) for value in (True, 2.0, Decimal("3.0"), BIGGEST)] == [1, 2, 3, BIGGEST]
    assert fitter("bool", "sqlite")(1) is True
    assert fitter("bool", "sqlite")(Decimal(0)) is False
    assert fitter("float", "sqlite")(Decimal("0.5")) == 0.5
    assert fitter("decimal", "sqlite")(1.5) == fitter("decimal", "sqlite")(Decimal("1.50"))


def test_a_value_counts_as_what_it_will_be_when_it_is_stored() -> None:
    assert fitter("text", "sqlite")(Colour.RED) == "red"
    assert type(fitter("text", "sqlite")(Text("a"))) is str
    assert kind_of(Colour.RED) == "text"


def test_the_same_instant_is_the_same_text() -> None:
    fit = fitter("datetime", "sqlite")
    there = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=1)))
    assert fit(there) == fit(there.astimezone(UTC)) == "2026-11-21T11:00:00.000000"


@given(value=NUMBERS | values())
def test_kinds_are_learnt_of_what_has_one(value: Any) -> None:
    kind = kind_of(value)
    if kind is None:
        assert kind_and_key(value)[0] == NONE or isinstance(value, list | dict | tuple | set | frozenset)
    elif kind_and_key(value)[0] != NAN:
        fits = fitter(kind, "sqlite")(value)
        assert fits is ODD or kind_and_key(value)[0] == COMPARES[kind]


@given(a=VALUES["decimal"], b=VALUES["decimal"])
@example(Decimal("-1.5"), Decimal("-1.51"))
@example(Decimal("9.99"), Decimal("10"))
@example(Decimal("-0"), Decimal("0E-10"))
@example(Decimal("100"), Decimal("1E2"))
def test_decimals_as_text_are_in_the_order_of_the_numbers(a: Decimal, b: Decimal) -> None:
    if a.is_finite() and b.is_finite():
        assert (decimal_text(a) < decimal_text(b)) == (a < b)
        assert (decimal_text(a) == decimal_text(b)) == (a == b)


@given(prefix=st.text(max_size=3), text=st.text(max_size=5))
@example("\ud7ff", "\ud7ff\U0010ffff")
@example("a\U0010ffff", "b")
def test_what_begins_with_a_prefix_is_a_range(prefix: str, text: str) -> None:
    end = behind(prefix)
    assert text.startswith(prefix) == (prefix <= text and (end is None or text < end))


def test_uuids_are_ordered_by_their_bytes() -> None:
    one, two = UUID(int=255), UUID(int=256)
    assert fitter("uuid", "sqlite")(one) < fitter("uuid", "sqlite")(two)
