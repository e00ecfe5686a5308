"""Arguments become parameters as a direct call would have it, of the types that annotations say; whatever does not fit
is named."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Optional, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.service.binding import Binding

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


class Color(enum.Enum):
    RED = "red"


@dataclass
class Item:
    name: str
    price: Decimal
    due: date | None = None


@dataclass
class Order:
    id: UUID
    items: list[Item] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


class Point(msgspec.Struct, rename="camel"):
    x_axis: int
    y_axis: Annotated[int, msgspec.Meta(ge=0)] = 0


class Options(TypedDict, total=False):
    depth: int


class Pair(NamedTuple):
    a: int
    b: str


class Dotted(dict[str, Any]):
    """A dict of one's own, as Hict is."""


def call(function: Any, *args: Any, text: Any = (), **kwargs: Any) -> Any:
    values, named = Binding(function).bind(list(args), kwargs, text)
    return function(*values, **named)


def wrong(function: Any, *args: Any, text: Any = (), **kwargs: Any) -> dict[str, str]:
    with pytest.raises(exc.InvalidArguments) as refused:
        Binding(function).bind(list(args), kwargs, text)
    fields: dict[str, str] = refused.value.facts["fields"]
    assert all(fields.values())
    return fields


# -- which argument is which parameter ----------------------------------------------------------------------------
SHAPES: list[Any] = [
    lambda: (),
    lambda a: (a,),
    lambda a, b=2: (a, b),
    lambda a=1, b=2: (a, b),
    lambda *args: args,
    lambda **kwargs: kwargs,
    lambda a, *args, b, **kwargs: (a, args, b, kwargs),
    lambda a, /, b, *, c=3: (a, b, c),
    lambda a=1, /, **kwargs: (a, kwargs),
    lambda a, /, **kwargs: (a, kwargs),
    lambda a, b=2, /, c=3: (a, b, c),
]


@given(
    st.sampled_from(range(len(SHAPES))),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from("abcd"), st.integers()),
)
def test_arguments_fit_exactly_when_python_says_so(shape: int, args: list[int], kwargs: dict[str, int]) -> None:
    function = SHAPES[shape]
    try:
        direct = function(*args, **kwargs)
    except TypeError:
        assert wrong(function, *args, **kwargs)
    else:
        assert call(function, *args, **kwargs) == direct


def test_missing_unknown_and_doubled_arguments_are_named() -> None:
    def update(id: Any, vsn: Any, text: Any = "") -> None: ...

    assert wrong(update, 1) == {"vsn": "This argument is missing."}
    assert wrong(update) == {"id": "This argument is missing.", "vsn": "This argument is missing."}
    assert wrong(update, 1, 2, id=3) == {"id": "This argument was given twice."}
    assert wrong(update, 1, 2, txt="") == {"txt": "There is no argument of this name."}
    assert wrong(update, 1, 2, "", 4, 5) == {"[3]": "At most 3 arguments are taken in order."}


def test_a_flood_of_wrong_arguments_is_not_echoed() -> None:
    fields = wrong(lambda: None, **{f"{i:x<5000}": 1 for i in range(500)})
    assert len(fields) <= 50
    assert max(map(len, fields)) <= 64


# -- values -----------------------------------------------------------------------------------------------------
def test_without_annotation_texts_are_parsed() -> None:
    assert call(lambda a, *args, **kwargs: (a, args, kwargs), "1", "x", b="2.50") == (1, ("x",), {"b": Decimal("2.50")})


def test_without_auto_parse_texts_stay() -> None:
    assert Binding(lambda a, b: None, parse=False).bind(["1"], {"b": "2"}) == (["1"], {"b": "2"})


def test_annotations_win_over_auto_parse() -> None:
    def f(a: str, b: Any, c: object, d: "str" = "", *args: str, **kwargs: str) -> Any:  # noqa: UP037
        return a, b, c, d, args, kwargs

    assert call(f, "1", "2", "3", "4", "5", k="6") == ("1", "2", "3", "4", ("5",), {"k": "6"})


UID = UUID("0193493e-7c4b-7000-8000-0123456789ab")


@pytest.mark.parametrize(
    ("kind", "given_", "value"),
    [
        (int, 5, 5),
        (int, 2.0**40, 2**40),
        (float, 5, 5.0),
        (bool, True, True),
        (str, "5", "5"),
        (bytes, b"x", b"x"),
        (Decimal, "1.50", Decimal("1.50")),
        (Decimal, 1, Decimal(1)),
        (Decimal, Decimal("1.50"), Decimal("1.50")),
        (UUID, str(UID), UID),
        (UUID, UID, UID),
        (date, "2026-11-21", date(2026, 11, 21)),
        (time, "11:48:00", time(11, 48)),
        (datetime, "2026-11-21T11:48:00", datetime(2026, 11, 21, 11, 48)),
        (timedelta, "P1DT2S", timedelta(days=1, seconds=2)),
        (timedelta, timedelta(1), timedelta(1)),
        (Literal["a", 1], "a", "a"),
        (int | None, None, None),
        (Optional[int], 5, 5),  # noqa: UP045
        (Color, "red", Color.RED),
        (list[int], [1, 2], [1, 2]),
        (set[int], [1, 2], {1, 2}),
        (frozenset[int], {1}, frozenset({1})),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[str, Decimal], {"a": "1.5"}, {"a": Decimal("1.5")}),
        (dict[int, str], {1: "a"}, {1: "a"}),
        (Item, {"name": "a", "price": "1.5"}, Item("a", Decimal("1.5"))),
        (Point, {"xAxis": 1}, Point(1)),
        (Options, {"depth": 1}, {"depth": 1}),
        (Pair, [1, "a"], Pair(1, "a")),
        (Dotted, {"a": 1}, Dotted(a=1)),
        (Dotted, Dotted(a=1), Dotted(a=1)),
        (list[Item], [{"name": "a", "price": 1}], [Item("a", Decimal(1))]),
        (date | str, "soon", "soon"),
        (date | str, "2026-11-21", date(2026, 11, 21)),
        (date | UUID | None, str(UID), UID),
    ],
    ids=str,
)
def test_annotations_decide_the_type(kind: Any, given_: Any, value: Any) -> None:
    def f(a: Any) -> Any:
        return a

    f.__annotations__["a"] = kind
    result = call(f, given_)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("kind", "given_"),
    [
        (int, "5"),
        (int, 1.5),
        (int, True),
        (int, 2.0**60),
        (float, "1.5"),
        (str, 5),
        (bool, 1),
        (bool, "true"),
        (Decimal, "NaN"),
        (Decimal, "1e999999"),
        (Decimal, "9" * 5000),
        (Decimal, True),
        (date, "2026-02-30"),
        (date, datetime(2026, 1, 1)),
        (datetime, "2026-01-01"),
        (UUID, "x"),
        (Literal["a"], "b"),
        (Color, "blue"),
        (int | None, "null"),
        (list[int], [1, "2"]),
        (list[Decimal], ["1e999999"]),
        (Item, {"name": "a", "price": "NaN"}),
        (Item, "a"),
        (Dotted, [1]),
        (date | str, 5),
    ],
    ids=str,
)
def test_what_has_another_type_is_refused(kind: Any, given_: Any) -> None:
    def f(a: Any) -> Any:
        return a

    f.__annotations__["a"] = kind
    assert wrong(f, given_)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "5", 5),
        (float, "1.5", 1.5),
        (float, "2", 2.0),
        (bool, "true", True),
        (bool, "0", False),
        (str, "5", "5"),
        (int | None, "5", 5),
        (int | None, "null", None),
        (Decimal, "1.50", Decimal("1.50")),
        (date, "2026-11-21", date(2026, 11, 21)),
        (Literal[1, 2], "2", 2),
        (list[int], ["1", "2"], [1, 2]),
        (list[int], "1", [1]),
        (list[str] | None, "a", ["a"]),
        (date | str, "2026-11-21", date(2026, 11, 21)),
    ],
    ids=str,
)
def test_texts_of_urls_and_forms_become_what_is_annotated(kind: Any, text: Any, value: Any) -> None:
    def f(a: Any) -> Any:
        return a

    f.__annotations__["a"] = kind
    for result in (call(f, text, text={0}), call(f, a=text, text={"a"})):
        assert result == value
        assert type(result) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((int, text) for text in (" 5", "1_000", "x", "1e999999999", "9" * 5000)),
        *((float, text) for text in ("nan", "inf", "1_0", " 1")),
        (bool, "yes"),
        (Decimal, "nan"),
        (list[float], ["1", "nan"]),
        (date, "21.11.2026"),
    ],
    ids=str,
)
def test_texts_that_do_not_fit_are_refused(kind: Any, text: Any) -> None:
    def f(a: Any) -> Any:
        return a

    f.__annotations__["a"] = kind
    assert wrong(f, text, text={0}) == wrong(f, a=text, text={"a"})


def test_an_argument_whose_default_is_none_takes_none() -> None:
    def f(a: int = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
        return a

    assert call(f) is None
    assert call(f, None) is None


# -- naming what is wrong ---------------------------------------------------------------------------------------
def test_every_wrong_field_is_named_by_its_path() -> None:
    def order(order: Order, due: date, *more: Item, **options: int) -> None: ...

    broken = {
        "id": "no uuid",
        "items": [{"name": "a", "price": 1}, {"name": 7, "price": "dear"}, {"price": 1, "due": "soon"}],
        "notes": {"a": 1, "b": "x"},
    }
    fields = wrong(order, broken, "soon", {"name": 1}, depth="deep")
    assert fields == {
        "order.id": "Invalid UUID",
        "order.items[1].name": "Expected `str`, got `int`",
        "order.items[1].price": "Invalid decimal string",
        "order.items[2].name": "This field is missing.",
        "order.items[2].due": "Invalid RFC3339 encoded date",
        "order.notes.b": "Expected `int`, got `str`",
        "due": "Invalid RFC3339 encoded date",
        "[2].name": "Expected `str`, got `int`",
        "[2].price": "This field is missing.",
        "depth": "Expected `int`, got `str`",
    }


def test_structs_name_fields_as_they_are_on_the_wire_and_bounds_count() -> None:
    def f(p: Point) -> None: ...

    assert wrong(f, {"xAxis": "a", "yAxis": -1}) == {
        "p.xAxis": "Expected `int`, got `str`",
        "p.yAxis": "Expected `int` >= 0",
    }


def test_a_check_of_the_program_s_own_type_is_told() -> None:
    @dataclass
    class Span:
        first: int
        last: int

        def __post_init__(self) -> None:
            if self.first > self.last:
                raise ValueError("first is after last")

    def f(span: Any) -> None: ...

    f.__annotations__["span"] = Span
    assert wrong(f, {"first": 2, "last": 1}) == {"span": "first is after last"}


def test_a_failure_inside_a_type_of_the_program_s_own_is_no_fault_of_the_caller() -> None:
    @dataclass
    class Broken:
        x: int

        def __post_init__(self) -> None:
            raise KeyError("a bug")

    def f(a: Any) -> None: ...

    f.__annotations__["a"] = Broken
    with pytest.raises(KeyError):
        call(f, {"x": 1})


# -- annotations that are hard to have ----------------------------------------------------------------------------
def test_a_name_that_cannot_be_resolved_counts_as_no_annotation(caplog: pytest.LogCaptureFixture) -> None:
    def f(a: Unknown, b: int, c: Decimal = Decimal(0)) -> Any:
        return a, b, c

    Binding(f)
    assert "annotation of 'a' is ignored: name 'Unknown' is not defined" in caplog.text

    assert call(f, "1", 2, "3") == (1, 2, Decimal(3))
    assert wrong(f, "1", "2") == {"b": "Expected `int`, got `str`"}


def test_classes_that_are_defined_later_are_found_at_the_first_call() -> None:
    def f(a: Later) -> Any:
        return a

    assert call(f, {"x": 1}) == Later(1)


@dataclass
class Later:
    x: int


def test_bound_methods_and_callable_objects_are_bound_without_self() -> None:
    class Greeter:
        def greet(self, name: str, times: int = 1) -> Any:
            return name * times

        def __call__(self, n: int) -> int:
            return n

    assert call(Greeter().greet, "a", times=2) == "aa"
    assert call(Greeter(), 5) == 5
    assert wrong(Greeter(), "5") == {"n": "Expected `int`, got `str`"}
    assert call(functools.partial(Greeter().greet, times=3), "a") == "aaa"
