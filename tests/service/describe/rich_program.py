"""Served by the tests of `limen types` and the page /limen/: all kinds of services and types."""

from __future__ import annotations

import csv
import enum
import io
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pydantic

from limen import App, File, Hict, Upload, exc

T = TypeVar("T")

app = App()
app.config.IS_DEVELOPMENT = True
app.config.SOFT_ORIGIN_ABUSE_LEVEL = app.config.MAX_ORIGIN_ABUSE_LEVEL = 1e9  # whoever tries everything errs a lot
service = app.service


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    """What a list holds. */ </script> " \\"""

    name: str
    price: Decimal = Decimal("1.50")
    color: Color = Color.RED
    kids: list[Item] = field(default_factory=list)


@attrs.define
class Box:
    width: int
    note: str | None = None


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Settings(TypedDict):
    size: int
    class_: NotRequired[str]


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    total: int = 0


class Closed(msgspec.Struct, forbid_unknown_fields=True, tag="closed"):
    id: UUID


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1, max_length=20)
    tags: list[Annotated[str, pydantic.Field(max_length=5)]] = []
    friends: list[Person] = []


Percent = Annotated[int, msgspec.Meta(ge=0, le=100, description="of a hundred")]

changed = app.topic("todo.changed", safe=False)


def to_csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


# -- sealed -----------------------------------------------------------------------------------------------------
@service("todo/add")
def add(text: str, due: date | None = None, *, tags: set[str] = frozenset()) -> Item:  # type: ignore[assignment]
    """Adds a line; "quoted", `</script>`, \\ and */.

    Second paragraph. Raises NotFound where there is no list, and Forbidden.
    """
    return Item(f"{text} {due} {sorted(tags)}")


@service("todo")
def todo(item: Item) -> Page[Item]:
    return Page([item], 1)


@service(roles=["admin"])
def stop() -> None:
    """For administrators."""


# -- plain ------------------------------------------------------------------------------------------------------
@service(safe=False, methods=["GET"])
def hello(name: str = "World") -> str:
    """Greets."""
    return f"Hello, {name}!"


@service(safe=False)
def count(n: Percent) -> Iterator[int]:
    """Counts."""
    yield from range(n)


@service("todo/follow", safe=False, timeout=5)
async def follow(n: Percent = 3) -> AsyncIterator[Item]:
    for i in range(n):
        yield Item(str(i))


@service("class/import", safe=False)
def keyword(number: int, /, settings: Settings, *more: int, **rest: str) -> Point:
    return Point(number + sum(more), len(rest) + settings["size"])


@service("a-b/then", safe=False)
def then(id: UUID, took: timedelta, mode: Literal["a", "b"], photo: bytes, anything: Any = None) -> tuple[int, bytes]:
    return (len(photo), photo)


@service("list", safe=False, cache=60, csv=to_csv)
def list_(start: int = 0, ratio: float = 0.5, days: list[date] | None = None, flag: bool = False) -> list[list[str]]:
    return [["bolt", "3"]]


@service(safe=False)
def weigh(box: Box, closed: Closed | None = None, hict: Hict | None = None, at: datetime | None = None) -> Box:
    return box


@service(safe=False)
def meet(person: Person, others: dict[str, Person] | None = None) -> Person:
    return person


@service(safe=False)
def untyped(a, b=2):  # type: ignore[no-untyped-def]
    return [a, b]


@service(safe=False)
def buy(
    article: Annotated[str, msgspec.Meta(min_length=1, max_length=10)], price: Decimal, pieces: Percent = 1
) -> Decimal:
    """Buys. Raises `RecordNotFound` and RecordVersionMismatch."""
    if article == "nothing":
        raise exc.RecordNotFound
    return price * pieces


@service(safe=False)
def put(picture: Upload, title: str = "") -> int:
    return picture.size


@service(safe=False, methods=["GET"])
def get(name: Literal["a.txt", "b.bin"]) -> File:
    return File(b"hi", filename=name)


@service("shelf", safe=False)
class Shelf:
    """Where things lie."""

    def get(self, number: int, full: bool = False) -> str:
        """What lies there."""
        return f"shelf {number} {full}"

    def put(self, number: int, text: str) -> int:
        return len(text)

    def delete(self, number: int = 0) -> None: ...


@service("constructor/__init__/a-b", safe=False)
def odd(function: int, default: int = 1, new: str = "", this: str = "", result: int = 0, **more: int) -> dict[str, int]:
    return {"function": function, "default": default, **more}


@service("constructor/__init__/a_b", safe=False)
def even(*str: int) -> None: ...


@service(safe=False)
def wait(seconds: Annotated[float, msgspec.Meta(ge=0, le=0.01)]) -> None:
    time.sleep(seconds)
