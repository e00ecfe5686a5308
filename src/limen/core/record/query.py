"""What is asked of a store, the order of the answer, and where the next page begins.

    >>> from limen.core.record.expression import field
    >>> order = ordering([field("done"), field("text").desc()])
    >>> rows = [({"text": "a"}, b"1" * 16), ({"text": "b", "done": True}, b"2" * 16), ({"text": "c"}, b"3" * 16)]
    >>> first = page(rows, order, 2, None, lambda row: row)
    >>> [fields["text"] for fields, _ in first]
    ['c', 'a']
    >>> [fields["text"] for fields, _ in page(rows, order, 2, read_cursor(first.cursor, order), lambda row: row)]
    ['b']

Order: None first when ascending, then by kind in the order of `kinds.NONE … OTHER` (number, NaN, text, bytes,
uuid, date, time, aware time, datetime, aware datetime, timedelta, others by their JSON), within a kind as expressions
compare.
Descending is exactly the reverse. What is the same in all terms goes by uuid, in the direction of the last term;
without any term by uuid ascending, i.e. by age. So no two records are ever equal, and a cursor is a place between two.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import FloatOperation, localcontext
from typing import Any, TypeVar

import msgspec

from limen import exc
from limen.base import base64url, values

from .expression import Expression, Field, Order
from .kinds import exactly, kind_and_key, stored
from .port import Index

T = TypeVar("T")
Row = Callable[[T], tuple[Mapping[str, Any], bytes]]
"""Gives the fields and the uuid of an item."""

MOST = 2**53
"""The greatest limit; what is greater means the same."""

__all__ = ["Cursor", "Order", "Page", "Query", "after", "cursor", "ordering", "page", "read_cursor", "sort"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in an order: behind the record with these *values* of the order's fields, and this *uuid*."""

    values: tuple[Any, ...]
    uuid: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """*index*: the columns that the model has. *where*: None for every record. *limit*: None for all. *after*: a place
    in *order*. *explain*: only how it would be answered is asked, a store may leave out what is found."""

    model: str
    index: Index | None = None
    where: Expression | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    after: Cursor | None = None
    explain: bool = False


class Page(list[T]):
    """A list of records, and where the next page begins: `db.select(…, after=page.cursor)`. *cursor* is None where
    this is the last one."""

    __slots__ = ("cursor",)

    def __init__(self, items: Iterable[T] = (), cursor: str | None = None) -> None:
        super().__init__(items)
        self.cursor = cursor


# -- orders ---------------------------------------------------------------------------------------
def ordering(order_by: Any) -> tuple[Order, ...]:
    """The terms of what was given as order_by: a field, `field.asc()` or `.desc()`, or several of them in a list.
    None: no terms.

    Raises TypeError for anything else.
    """
    if order_by is None:
        return ()
    terms = order_by if isinstance(order_by, list | tuple) else (order_by,)
    found = tuple(map(_term, terms))
    names = [term.field for term in found]
    if len({*names}) < len(names):
        raise TypeError(f"order_by names a field twice: {', '.join(map(repr, found))}")
    return found


def _term(given: Any) -> Order:
    if isinstance(given, Order):
        return given
    if isinstance(given, Field):
        return given.asc()
    if isinstance(given, Expression):
        raise TypeError(f"order_by takes fields, not the condition {given!r}; that is for where")
    if isinstance(given, str):
        raise TypeError(f"order_by takes fields, not texts: write field({given!r}), or field({given!r}).desc()")
    if callable(given):
        raise TypeError(
            "order_by takes fields (Todo.text, Todo.text.desc()), not functions: sort the list with sorted()"
        )
    raise TypeError(f"order_by takes fields (Todo.text, Todo.text.desc()), not {type(given).__name__}")


def checked_limit(limit: Any) -> int | None:
    """*limit* as it was given, if it is None or a whole number of 1 or more. Raises InvalidValue otherwise."""
    if limit is not None and (type(limit) is not int or limit < 1):
        raise exc.InvalidValue(f"limit is a whole number of 1 or more, or None for all; not {limit!r:.50}.")
    return limit if limit is None or limit <= MOST else MOST


def sort(items: Iterable[T], order: Sequence[Order], row: Row[T]) -> list[T]:
    """*items* in that order."""
    keyed = [(*row(item), item) for item in items]
    with localcontext() as context:
        context.traps[FloatOperation] = False  # a program may have set it; comparing is exact
        keyed.sort(key=lambda each: each[1], reverse=bool(order) and order[-1].descending)
        for term in reversed(order):
            name = term.field
            keyed.sort(key=lambda each: kind_and_key(each[0].get(name)), reverse=term.descending)
    return [item for _, _, item in keyed]


def after(place: Cursor, order: Sequence[Order]) -> Callable[[Mapping[str, Any], bytes], bool]:
    """Whether a record of these fields and this uuid stands behind *place*."""
    terms = [
        (term.field, kind_and_key(value), term.descending) for term, value in zip(order, place.values, strict=True)
    ]
    backwards = bool(order) and order[-1].descending

    def behind(fields: Mapping[str, Any], uuid: bytes) -> bool:
        for name, there, descending in terms:
            here = kind_and_key(fields.get(name))
            if here != there:
                return exactly(operator.lt, here, there) is descending
        return uuid < place.uuid if backwards else uuid > place.uuid

    return behind


def page(items: Iterable[T], order: Sequence[Order], limit: int | None, place: Cursor | None, row: Row[T]) -> Page[T]:
    """The first *limit* of *items* behind *place*, in that order."""
    if place is not None:
        behind = after(place, order)
        items = [item for item in items if behind(*row(item))]
    ordered = sort(items, order, row)
    return cut(ordered, order, limit, row)


def cut(ordered: Sequence[T], order: Sequence[Order], limit: int | None, row: Row[T]) -> Page[T]:
    """The first *limit* of what is in order already, with the cursor if there are more."""
    if limit is None or len(ordered) <= limit:
        return Page(ordered)
    return Page(ordered[:limit], cursor(order, *row(ordered[limit - 1])))


# -- cursors --------------------------------------------------------------------------------------
def cursor(order: Sequence[Order], fields: Mapping[str, Any], uuid: bytes) -> str:
    """The place behind a record, as text that may stand in a URL. It holds the values of the order's fields, readable
    for whoever looks closely."""
    place = [_digest(order), uuid.hex(), values.tag([fields.get(term.field) for term in order], "json")]
    return base64url.encode(msgspec.json.encode(place))


def read_cursor(text: str, order: Sequence[Order]) -> Cursor:
    """The place that `cursor` wrote for the same order. Raises InvalidValue for anything else."""
    try:
        digest, uuid, found = msgspec.json.decode(base64url.decode(text), type=tuple[str, str, list[Any]])
        key = bytes.fromhex(uuid)
        there = tuple(map(stored, values.untag(found, "json")))
    except (ValueError, TypeError, RecursionError, exc.InvalidValue):
        raise exc.InvalidValue("This is no cursor: give `after` the .cursor of a page, unchanged.") from None
    if digest != _digest(order) or len(there) != len(order) or len(key) != 16:
        raise exc.InvalidValue("This cursor is one of another order: ask for the next page with the same order_by.")
    return Cursor(there, key)


def _digest(order: Sequence[Order]) -> str:
    said = msgspec.json.encode([[term.field, term.descending] for term in order])
    return hashlib.sha256(said).hexdigest()[:8]


def names(where: Expression | None, order: Sequence[Order]) -> frozenset[str]:
    """What is asked of a record."""
    terms = frozenset(term.field for term in order)
    return terms if where is None else where.fields | terms
