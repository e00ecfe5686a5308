"""What typed classes declare, and the checks made of annotations."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, auto
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from limen.base.hict import Hict
from limen.core.record.checks import MISSING, check_for
from limen.core.record.kinds import stored
from limen.core.record.typed import column_kind, declared

UserName = NewType("UserName", str)
T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    A = 1
    B = "b"


class Pair(Enum):
    A = [1, 2]  # noqa: RUF012


class Rights(Flag):
    READ = auto()
    WRITE = auto()


@dataclass
class Address:
    street: str
    zip: str = ""


@dataclass
class Angry:
    x: int

    def __post_init__(self) -> None:
        raise AssertionError("nothing is made to check it")


class Line(msgspec.Struct, rename="camel"):
    item_name: str
    price: Decimal = Decimal(0)


@attrs.define
class Tag:
    text: str
    colour: Colour = Colour.RED


@dataclass
class Tree:
    name: str
    below: list[Tree] = field(default_factory=list)


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    bones: int


class Options(TypedDict, total=False):
    depth: typing.Required[int]
    wide: bool


class Point(NamedTuple):
    x: int
    y: int


class Box(msgspec.Struct, typing.Generic[T]):
    value: T


class Quacks(Protocol):
    def quack(self) -> None: ...


class Money:
    def to_dict(self) -> dict[str, Any]:
        return {"amount": 1}


class Odd:
    pass


# -- what is declared
def names(cls: Any) -> list[tuple[str, bool]]:
    return [(f.name, f.required) for f in declared(cls) or ()]


def default(cls: Any, name: str) -> Any:
    make = next(f.default for f in declared(cls) or () if f.name == name)
    assert make is not None
    return make()


def test_dataclass_struct_attrs_and_typed_dict_say_their_fields() -> None:
    assert names(Address) == [("street", True), ("zip", False)]
    assert names(Line) == [("item_name", True), ("price", False)]
    assert [f.wire for f in declared(Line) or ()] == ["itemName", "price"]
    assert names(Tag) == [("text", True), ("colour", False)]
    assert names(Options) == [("depth", True), ("wide", False)]
    assert declared(Odd) is None
    assert declared(5) is None


def test_defaults_are_built_in_values_and_never_shared() -> None:
    class Holder(msgspec.Struct):
        tags: list[str] = []
        made: list[list[int]] = msgspec.field(default_factory=lambda: [[1]])
        colour: Colour = Colour.BLUE
        home: Address = msgspec.field(default_factory=lambda: Address("here"))

    assert default(Tag, "colour") == "red"
    assert type(default(Holder, "colour")) is str
    assert default(Holder, "home") == {"street": "here", "zip": ""}

    @attrs.define
    class Shared:
        tags: list[str] = []  # noqa: RUF008 attrs lets it be one list for all

    for cls, name in ((Holder, "tags"), (Holder, "made"), (Shared, "tags")):
        default(cls, name).append("x")
        assert "x" not in default(cls, name)


def test_a_default_that_no_record_can_have_is_refused() -> None:
    @attrs.define
    class Selfish:
        a: Any = attrs.field(default=attrs.Factory(lambda self: 1, takes_self=True))

    @dataclass
    class Unstorable:
        a: Any = Odd()  # noqa: RUF009

    with pytest.raises(TypeError, match=r"Selfish\.a"):
        declared(Selfish)
    with pytest.raises(TypeError, match=r"Unstorable\.a: its default can't be stored"):
        default(Unstorable, "a")


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        *zip(
            [bool, int, float, Decimal, str, bytes, UUID, date, time, datetime, timedelta],
            ["bool", "int", "float", "decimal", "text", "bytes", "uuid", "date", "time", "datetime", "timedelta"],
            strict=True,
        ),
        (str | None, "text"),
        (typing.Optional[int], "int"),  # noqa: UP045
        (Annotated[int, Meta(gt=0)], "int"),
        (Annotated[str, "x"] | None, "text"),
        (UserName, "text"),
        (Final[int], "int"),
        (Colour, "text"),
        (Level, "int"),
        (Rights, "int"),
        (Mixed, None),
        (Pair, None),
        (Literal["a", "b"], "text"),
        (Literal["a", None], "text"),
        (Literal["a", 1], None),
        (int | float, "float"),
        (int | str, None),
        (list[int], None),
        (dict, None),
        (Address, None),
        (Any, None),
        (T, None),
        (None, None),
    ],
)
def test_the_kind_of_a_column_follows_from_the_annotation(kind: Any, column: str | None) -> None:
    assert column_kind(kind) == column


# -- checks
@pytest.mark.parametrize(
    ("kind", "good"),
    [
        (bool, [True]),
        (int, [1, Level.LOW, 2**80]),
        (float, [1.5, 1, float("nan")]),
        (Decimal, [Decimal("1.5"), 2]),
        (str, ["", "a", Colour.RED, type("Text", (str,), {})("x")]),
        (bytes, [b"", bytearray(b"x")]),
        (UUID, [UUID(int=1)]),
        (date, [date(2026, 1, 1)]),
        (datetime, [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)]),
        (time, [time(1)]),
        (timedelta, [timedelta(1)]),
        (None, [None]),
        (str | None, [None, "a"]),
        (int | str, [1, "a"]),
        (Any, [1, None, Odd()]),
        (object, [1]),
        (T, [1]),
        (Annotated[int, Meta(gt=0)], [1]),
        (Annotated[str, Meta(max_length=3)] | None, ["abc", None]),
        (Annotated[list[Address], Meta(max_length=1)], [[{"street": "x"}], []]),
        (Annotated[list[Angry], Meta(max_length=1)], [[{"x": 1}]]),
        (UserName, ["ada"]),
        (Colour, ["red", Colour.BLUE]),
        (Level, [1, Level.HIGH]),
        (Pair, [[1, 2], Pair.A]),
        (Rights, [1, 3, 0, Rights.READ | Rights.WRITE]),
        (Literal["a", 1], ["a", 1]),
        (list, [[1, "a"]]),
        (list[int], [[], [1, 2]]),
        (set[str], [{"a"}, set()]),
        (frozenset[int], [frozenset({1})]),
        (tuple[int, ...], [(), (1, 2, 3)]),
        (tuple[int, str], [(1, "a")]),
        (tuple, [(1,)]),
        (dict[str, int], [{"a": 1}, Hict(a=1)]),
        (dict[int, str], [{1: "a"}]),
        (Sequence[int], [[1], (1,)]),
        (Mapping[str, int], [{"a": 1}]),
        (Address, [{"street": "x"}, {"street": "x", "zip": "1", "new": 5}, Address("x")]),
        (Line, [{"itemName": "x"}, Line("x")]),
        (Tag, [{"text": "x", "colour": "blue"}, Tag("x")]),
        (Tree, [{"name": "a", "below": [{"name": "b"}]}, Tree("a", [Tree("b")])]),
        (Cat | Dog, [Cat(9), Dog(1), {"type": "Dog", "bones": 1}]),
        (Options, [{"depth": 1}, {"depth": 1, "wide": True}]),
        (Point, [(1, 2), Point(1, 2)]),
        (Box[int], [{"value": 5}, Box(5)]),
        (Hict, [Hict(a=1), {"a": 1}]),
        (Money, [Money(), {"amount": 1}]),
        (Odd, [Odd()]),
        (Quacks, [1]),
    ],
)
def test_what_fits_passes_also_when_it_was_stored(kind: Any, good: list[Any]) -> None:
    check = check_for(kind)
    for value in good:
        assert check(value) is None
        if not isinstance(value, Odd):
            assert check(stored(value)) is None


@pytest.mark.parametrize(
    ("kind", "bad", "errors"),
    [
        (bool, 1, "Expected `bool`, got `int`"),
        (int, True, "Expected `int`, got `bool`"),
        (int, 1.0, "Expected `int`, got `float`"),
        (float, "1", "Expected `float`, got `str`"),
        (float, Decimal(1), "Expected `float`, got `Decimal`"),
        (Decimal, 1.5, "Expected `Decimal`, got `float`"),
        (str, None, "Expected `str`, got `NoneType`"),
        (str, object(), "Expected `str`, got `object`"),
        (date, "2026-11-21", "Expected `date`, got `str`"),
        (date, datetime(2026, 1, 1), "Expected `date`, got `datetime`"),
        (datetime, date(2026, 1, 1), "Expected `datetime`, got `date`"),
        (UUID, str(UUID(int=1)), "Expected `UUID`, got `str`"),
        (None, 0, "Expected `None`, got `int`"),
        (str | None, 5, "Expected `str | None`, got `int`"),
        (int | list[str], "x", "Expected `int | list`, got `str`"),
        (int | list[str], [5], {"0": "Expected `str`, got `int`"}),
        (Annotated[int, Meta(gt=0)], 0, "Expected `int` >= 1"),
        (Annotated[int, Meta(gt=0)], "x", "Expected `int`, got `str`"),
        (Annotated[int, Meta(gt=0)] | None, -1, "Expected `int` >= 1"),
        (Annotated[str, Meta(pattern="^a")], "b", "Expected `str` matching regex '^a'"),
        (Annotated[list[Address], Meta(max_length=1)], [{}, {}], {"0": {"street": MISSING}, "1": {"street": MISSING}}),
        (Annotated[list[int], Meta(max_length=1)], [1, 2], "Expected `array` of length <= 1"),
        (Colour, "green", "Expected one of 'red', 'blue'"),
        (Colour, 5, "Expected `Colour`, got `int`"),
        (Level, True, "Expected `Level`, got `bool`"),
        (Level, 3, "Expected one of 1, 2"),
        (Pair, [3], "Expected one of [1, 2]"),
        (Rights, 8, "Expected `Rights`, got `int`"),
        (Literal["a", 1], "b", "Expected one of 'a', 1"),
        (Literal[1, False], True, "Expected one of 1, False"),
        (Literal["a", 1], True, "Expected `str | int`, got `bool`"),
        (list[int], (1,), "Expected `list`, got `tuple`"),
        (set[str], ["a"], "Expected `set`, got `list`"),
        (set[str], {1}, {"1": "Expected `str`, got `int`"}),
        (tuple[int, str], (1,), "Expected 2 items, got 1"),
        (tuple[int, str], ("a", 1), {"0": "Expected `int`, got `str`", "1": "Expected `str`, got `int`"}),
        (tuple[int, ...], (1, "a"), {"1": "Expected `int`, got `str`"}),
        (dict[str, int], {"a": "x", "b": 1}, {"a": "Expected `int`, got `str`"}),
        (dict[str, int], {1: 1}, {"1": "Expected `str`, got `int`"}),
        (dict[str, list[int]], {"a": [1, "2"]}, {"a": {"1": "Expected `int`, got `str`"}}),
        (Address, {"street": 5, "zip": 1}, {"street": "Expected `str`, got `int`", "zip": "Expected `str`, got `int`"}),
        (Address, Address(5), {"street": "Expected `str`, got `int`"}),  # type: ignore[arg-type]
        (Address, {}, {"street": MISSING}),
        (Address, "x", "Expected `Address`, got `str`"),
        (Line, {"item_name": "x"}, {"itemName": MISSING}),
        (Tree, {"name": "a", "below": [{"name": 5}]}, {"below": {"0": {"name": "Expected `str`, got `int`"}}}),
        (Cat | Dog, {"type": "Dog", "bones": "x"}, {"bones": "Expected `int`, got `str`"}),
        (Cat | Dog, {"type": "Cow"}, "Expected `Cat | Dog`, got `dict`"),
        (Options, {"wide": 1}, {"depth": MISSING, "wide": "Expected `bool`, got `int`"}),
        (Point, (1, "x"), {"1": "Expected `int`, got `str`"}),
        (Odd, 5, "Expected `Odd`, got `int`"),
        (Odd, {}, "Expected `Odd`, got `dict`"),
    ],
)
def test_what_does_not_fit_is_said_all_at_once(kind: Any, bad: Any, errors: Any) -> None:
    assert check_for(kind)(bad) == errors


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(),
    str: st.text(),
    bytes: st.binary(),
    date: st.dates(),
    datetime: st.datetimes(),
    UUID: st.uuids(),
    type(None): st.none(),
}


@given(st.data(), st.sampled_from([*SCALARS]), st.sampled_from([*SCALARS]))
def test_a_value_of_one_type_fits_exactly_that_type(data: st.DataObject, kind: Any, other: Any) -> None:
    value = data.draw(SCALARS[other])
    assert (check_for(kind)(value) is None) is (kind is other)
    assert (check_for(list[kind])([value]) is None) is (kind is other)
    assert (check_for(kind | list[kind])([value]) is None) is (kind is other)
