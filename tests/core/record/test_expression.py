from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, FloatOperation, localcontext
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limen import exc
from limen.core.record.expression import (
    And,
    Compare,
    Contains,
    Expression,
    Field,
    IsIn,
    IsNull,
    Not,
    Or,
    StartsWith,
    field,
)
from limen.core.record.kinds import kind_and_key, stored

A, B = field("a"), field("b")
NAN = float("nan")


class Colour(Enum):
    RED = "red"


class Nothing(Enum):
    AT_ALL = None


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int


# -- an evaluator that shares nothing with the one that is tested -------------------------------------------------
def naive(value: Any) -> Any:
    """(kind, what is compared) or None for what equals nothing."""
    match value:
        case None:
            return "null", 0
        case bool() | int():
            return "number", Fraction(int(value))
        case float() | Decimal():
            if value != value:
                return None
            if value in (float("inf"), float("-inf")):
                return "number", float(value)
            return "number", Fraction(value)
        case datetime():
            if value.utcoffset() is None:
                return "datetime", (value.toordinal(), value.hour, value.minute, value.second, value.microsecond)
            seconds = (value.replace(tzinfo=None) - datetime(1, 1, 1)) - value.utcoffset()
            return "instant", seconds
        case time():
            if value.utcoffset() is None:
                return "time", (value.hour, value.minute, value.second, value.microsecond)
            clock = timedelta(
                hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
            )
            return "aware time", clock - value.utcoffset()
        case list() | dict() | tuple() | set() | frozenset():
            return "other", value
        case str():
            return "str", [ord(c) for c in value]
        case UUID():
            return "uuid", value.bytes
        case _:
            return type(value).__name__, value


def truth(op: str, a: Any, b: Any) -> bool:
    if op == "!=":
        return not truth("==", a, b)
    a, b = naive(a), naive(b)
    if a is None or b is None or a[0] != b[0]:
        return False
    if op == "==":
        return bool(a[1] == b[1])
    if a[0] in ("null", "other"):
        return False
    return bool({"<": a[1] < b[1], "<=": a[1] <= b[1], ">": a[1] > b[1], ">=": a[1] >= b[1]}[op])


def holds(e: Expression, fields: Mapping[str, Any]) -> bool:
    match e:
        case And(parts):
            return all([holds(part, fields) for part in parts])
        case Or(parts):
            return any([holds(part, fields) for part in parts])
        case Not(part):
            return not holds(part, fields)
        case IsNull(name):
            return fields.get(name) is None
        case IsIn(name, values):
            return any([truth("==", fields.get(name), value) for value in values])
        case Contains(name, text):
            return isinstance(fields.get(name), str) and text in fields[name]
        case StartsWith(name, text):
            return isinstance(fields.get(name), str) and fields[name][: len(text)] == text
        case Compare(name, op, value):
            return truth(op, fields.get(name), value)
    raise AssertionError(e)


# -- values: few of each kind, so that equal ones are met ---------------------------------------------------------
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-5, minutes=-30))])
NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([2**53, 2**53 + 1, 2.0**53, -(2**70), 1e308, 5e-324, -0.0, 0.1, float("inf"), float("-inf"), NAN]),
    st.sampled_from(["1", "1.0", "0.1", "-0", "1E+6000", "1E-6000", "NaN", "Infinity", "9007199254740993"]).map(
        Decimal
    ),
    st.floats(allow_subnormal=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-5, max_value=5),
)
TEXTS = st.one_of(st.sampled_from(["", "a", "A", "ab", "ä", "\uffff", "\U0001f600", "1", "\0"]), st.text(max_size=3))
CLOCKS = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2)).map(
        lambda d: d.replace(minute=0, second=0, microsecond=0)
    ),
    st.datetimes(timezones=ZONES),
    st.sampled_from(
        [
            datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
            datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=2))),
        ]
    ),
)
SCALARS = st.one_of(
    st.none(),
    NUMBERS,
    TEXTS,
    st.binary(max_size=2),
    st.sampled_from([UUID(int=0), UUID(int=1), UUID(int=2**127)]),
    st.dates(date(2026, 1, 1), date(2026, 1, 3)),
    st.sampled_from([time(1), time(1, tzinfo=UTC), time(2, tzinfo=timezone(timedelta(hours=1))), time(0, 30)]),
    CLOCKS,
    st.sampled_from([timedelta(0), timedelta(1), timedelta(hours=24), timedelta(microseconds=-1)]),
)
OTHERS = st.sampled_from([[], [1], [True], (1,), {"a": 1}, {1}, frozenset({1}), {1: 2}])
VALUES = st.one_of(SCALARS, SCALARS, SCALARS, OTHERS)
FIELDS = st.dictionaries(st.sampled_from(["a", "b"]), VALUES)
OPS = ["==", "!=", "<", "<=", ">", ">="]
LEAVES = st.one_of(
    st.builds(Compare, st.sampled_from(["a", "b"]), st.sampled_from(OPS), VALUES.map(stored)),
    st.builds(Contains, st.just("a"), TEXTS),
    st.builds(StartsWith, st.just("b"), TEXTS),
    st.builds(lambda f, v: f.is_in(v), st.sampled_from([A, B]), st.lists(VALUES, max_size=3)),
    st.builds(IsNull, st.sampled_from(["a", "b"])),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        inner.map(lambda e: ~e),
    ),
    max_leaves=6,
)


@given(st.sampled_from(OPS), VALUES, VALUES)
@example("<", Decimal("NaN"), Decimal(1))
@example("<", Decimal(1), NAN)
@example("<", NAN, Decimal(1))
@example("<", datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=-1))))
@example("<", datetime(2026, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), datetime(2026, 1, 1, 0, 30, tzinfo=UTC))
@example("==", time(1, tzinfo=UTC), time(2, tzinfo=timezone(timedelta(hours=1))))
@example("==", 2.0**53, 2**53 + 1)
@example("==", datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC))
@example(">", date(2026, 1, 1), datetime(2025, 1, 1))
def test_a_comparison_is_what_the_naive_evaluator_says(op: str, value: Any, literal: Any) -> None:
    assert Compare("a", op, stored(literal)).matches({"a": value}) is truth(op, value, literal)


@given(EXPRESSIONS, FIELDS)
def test_a_tree_is_what_the_naive_evaluator_says(e: Expression, fields: dict[str, Any]) -> None:
    assert e.matches(fields) is holds(e, fields)


@given(EXPRESSIONS, EXPRESSIONS, FIELDS)
def test_de_morgan_holds_for_all_values(a: Expression, b: Expression, fields: dict[str, Any]) -> None:
    assert (~(a & b)).matches(fields) is ((~a) | (~b)).matches(fields)
    assert (~(a | b)).matches(fields) is ((~a) & (~b)).matches(fields)
    assert (~~a).matches(fields) is a.matches(fields)


@given(VALUES, FIELDS)
def test_unequal_is_exactly_not_equal(value: Any, fields: dict[str, Any]) -> None:
    assert (value != A).matches(fields) is not (value == A).matches(fields)


@given(FIELDS, EXPRESSIONS)
def test_storing_the_fields_changes_no_answer(fields: dict[str, Any], e: Expression) -> None:
    assert e.matches(stored(fields)) is e.matches(fields)


@given(EXPRESSIONS, FIELDS)
def test_the_text_of_an_expression_makes_it_again(e: Expression, fields: dict[str, Any]) -> None:
    if any(word in repr(e) for word in ("datetime.timezone", "nan", "inf")):
        return
    import datetime as module

    again = eval(repr(e), {"field": field, "datetime": module, "UUID": UUID, "Decimal": Decimal})
    assert again.matches(fields) is e.matches(fields)


# -- single claims
@pytest.mark.parametrize("value", [Colour.RED, type("Text", (str,), {})("red")])
def test_a_value_counts_as_what_it_is_when_stored(value: Any) -> None:
    for e in (A == "red", A == Colour.RED, A.is_in(["red"]), A.contains("ed"), A.startswith("r"), A >= "red"):
        assert e.matches({"a": value})
    assert not (A == None).matches({"a": value})  # noqa: E711
    assert (A == Level.LOW) == (A == 1)
    assert (Point(1) == A).matches({"a": {"x": 1}})
    assert (A == {"x": 1}).matches({"a": Point(1)})


def test_what_cannot_be_stored_equals_nothing_and_is_no_error() -> None:
    for e in (A == 1, A < 1, A.contains("a"), A.is_in([1, [2]]), A == None, A == [1]):  # noqa: E711
        assert not e.matches({"a": object()})
        assert not e.matches({"a": Decimal("sNaN")})
        assert not e.matches({"a": [object()]})
    assert (A != 1).matches({"a": object()})


def test_a_missing_field_is_none() -> None:
    assert (A == None).matches({})  # noqa: E711
    assert (A != 1).matches({})
    assert A.is_in([None]).matches({})
    assert not A.is_in([]).matches({})
    assert isinstance(A != None, Not)  # noqa: E711
    assert (A == None).matches({"a": Nothing.AT_ALL})  # noqa: E711
    assert not (A < None).matches({})
    assert not (A >= None).matches({})


def test_between_includes_both_ends() -> None:
    assert [n for n in range(6) if A.between(2, 4).matches({"a": n})] == [2, 3, 4]
    assert A.between(2, 4) == (A >= 2) & (A <= 4)


def test_is_in_is_equal_to_one_of_them() -> None:
    e = A.is_in([NAN, [1], 0.5, datetime(2026, 1, 1, tzinfo=UTC), None])
    for value in ([1], [True], Decimal("0.5"), datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), None):
        assert e.matches({"a": value})
    for value in (NAN, Decimal("NaN"), [2], (1,), datetime(2026, 1, 1), "0.5", 0):
        assert not e.matches({"a": value})


def test_texts_are_looked_into_as_they_are() -> None:
    fields = {"a": "Oat milk"}
    assert [A.startswith(t).matches(fields) for t in ("Oat", "oat", "milk", "")] == [True, False, False, True]
    assert [A.contains(t).matches(fields) for t in ("t m", "T M", "Oat", "milk", "")] == [True, False, True, True, True]
    assert not A.contains("1").matches({"a": ["1"]})
    assert not A.startswith("").matches({})


def test_a_trap_of_the_programs_decimal_context_changes_nothing() -> None:
    with localcontext() as context:
        context.traps[FloatOperation] = True
        assert (A < 0.2).matches({"a": Decimal("0.1")})
        assert (Decimal("0.5") == A).matches({"a": 0.5})
        assert A.is_in([Decimal("0.5")]).matches({"a": 0.5})
        assert A.is_in([0.5]).matches({"a": Decimal("0.5")})


def test_literals_of_other_types_are_other_expressions_that_say_the_same() -> None:
    same = [A == 1, A == True, A == 1.0, Decimal(1) == A]  # noqa: E712
    assert len({*same}) == 4
    assert all(e.matches({"a": value}) for e in same for value in (1, True, 1.0, Decimal(1)))
    assert (A == 1) == (A == 1)
    assert hash((A == 1) & (B == 2)) == hash((A == 1) & (B == 2))
    assert (A == 1) != (B == 1)
    assert (A == 1) & (B == 2) != (B == 2) & (A == 1)
    assert (A == NAN) == (float("nan") == A)
    assert (A == [1]) == (A == [1])
    assert (A == [1]) != (A == [True])
    assert (A < 1) != (A <= 1)
    assert ((A == 1) == 5) is False
    assert A.contains("a") != A.startswith("a")


def test_joining_is_flat_and_names_the_fields() -> None:
    e = (A == 1) & ((B == 2) & (field("c") == 3))
    assert isinstance(e, And)
    assert len(e.parts) == 3
    assert e.fields == {"a", "b", "c"}
    assert len(((A == 1) | (B == 2) | (A == 3)).parts) == 3
    assert And(()).matches({})
    assert not Or(()).matches({})


@pytest.mark.parametrize(
    ("e", "text"),
    [
        (A == None, "field('a') == None"),  # noqa: E711
        (A != None, "field('a') != None"),  # noqa: E711
        (~((A == 1) & ~B.contains("x")), "~((field('a') == 1) & (~field('b').contains('x')))"),
        (A.is_in([1, "x"]) | (B <= 2.5), "field('a').is_in([1, 'x']) | (field('b') <= 2.5)"),
        (Field("done", "Todo.done") != False, "Todo.done != False"),  # noqa: E712
        (~Field("done", "Todo.done").startswith("a"), "~Todo.done.startswith('a')"),
    ],
)
def test_it_reads_like_the_source(e: Expression, text: str) -> None:
    assert repr(e) == text


@given(EXPRESSIONS, FIELDS)
def test_an_expression_survives_pickle_and_copy(e: Expression, fields: dict[str, Any]) -> None:
    for again in (pickle.loads(pickle.dumps(e)), copy.deepcopy(e)):
        assert again == e
        assert again.matches(fields) is e.matches(fields)
        assert repr(again) == repr(e)


def test_neither_fields_nor_expressions_change() -> None:
    for thing, name in ((A, "name"), (A == 1, "value"), (A.contains("x"), "matches")):
        with pytest.raises(AttributeError):
            setattr(thing, name, 2)


def test_a_list_that_is_changed_later_changes_no_expression() -> None:
    given: list[Any] = [1]
    e = field("a") == given
    hashed = hash(e)
    given.append(2)
    assert e.matches({"a": [1]})
    assert hash(e) == hashed


# -- wrong use teaches
@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (lambda: (A == 1) and (B == 2), "instead of `and`"),
        (lambda: not (A == 1), "`~`"),  # noqa: SIM201
        (lambda: 1 < A < 5, r"\.between\(a, b\)"),
        (lambda: A in [1, 2], r"\.is_in\("),
        (lambda: A and (B == 1), r"field\('a'\) == True"),
        (lambda: not A, r"field\('a'\) == True"),
        (lambda: A & (B == 1), r"field\('a'\) == True"),
        (lambda: (B == 1) | A, r"field\('a'\) == True"),
        (lambda: ~A, r"field\('a'\) == True"),
        (lambda: A == 1 & B == 2, "parentheses"),
        (lambda: ((B == 2) & (A == 3)) == A, "parentheses"),
        (lambda: (A == 1) & True, "parentheses"),
        (lambda: True | (A == 1), "parentheses"),
        (lambda: (A == 1) & (lambda record: True), "A function can't be joined"),
        (lambda: "x" in A, r"\.contains\("),
        (lambda: A == B, "another field, field"),
        (lambda: A < B, "lambda record"),
        (lambda: object() == A, "compared with a object, which can't be stored"),
        (lambda: A.is_in([object()]), "object"),
        (lambda: A == "\ud800", "lone surrogate"),
        (lambda: Decimal("sNaN") == A, "Decimal"),
        (lambda: A == -(10**5000), "too many digits"),
        (lambda: A.contains(5), "takes a text, not a int"),
        (lambda: A.startswith(None), "takes a text, not a NoneType"),
        (lambda: A.is_in("text"), "takes a list of values, not a str"),
        (lambda: A.is_in(5), "takes a list of values, not a int"),
        (lambda: field("_x"), "does not begin with '_'"),
        (lambda: field(5), "not 5"),  # type: ignore[arg-type]
        (lambda: list(A), "not iterable"),
    ],
)
def test_wrong_use_says_what_to_write(wrong: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        wrong()


@given(VALUES, VALUES)
@example(datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=-1))))
@example(time(1, tzinfo=UTC), time(1, tzinfo=timezone(timedelta(hours=-1))))
def test_the_key_of_a_value_orders_all_kinds(a: Any, b: Any) -> None:
    ka, kb = kind_and_key(a), kind_and_key(b)
    assert (ka < kb) + (kb < ka) + (ka == kb) == 1
    if truth("<", a, b):
        assert ka < kb


def test_conditions_that_nest_too_deep_are_refused_where_they_are_made() -> None:
    deep = field("n") == 0
    while deep.depth < 98:
        deep = ~((deep | (field("n") == 1)) & (field("m") == 1))
    for join in (lambda: ~~~deep, lambda: ((deep | deep) & deep) | deep):
        with pytest.raises(exc.InvalidValue, match="nests at most 100 deep"):
            join()
    assert type(deep.matches({"n": 0, "m": 1})) is bool
    assert hash(deep) == hash(pickle.loads(pickle.dumps(deep)))
    assert repr(deep).startswith("~")


def test_many_conditions_beside_each_other_are_not_deep() -> None:
    wide = field("n") == 0
    for number in range(500):
        wide = wide | (field("n") == number)
    assert wide.depth == 2
    assert wide.matches({"n": 499})
