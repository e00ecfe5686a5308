"""What a unit of work is given: the types of its arguments, and what is made of them before a store is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from limen import exc

from .expression import Expression, Field
from .record import Record

Predicate: TypeAlias = Callable[[Record], Any]
Where: TypeAlias = Expression | Predicate | None
Moment: TypeAlias = datetime | float | int
Fail: TypeAlias = Any
"""What becomes of a fetch that finds nothing: an exception (class or instance) is raised, a callable called, anything
else returned; None raises RecordNotFound."""

_MOST = 2**62


def uuid_bytes(uuid: Any) -> bytes | None:
    """The bytes of a UUID, which may be text; None for what is none, which no record can have."""
    if isinstance(uuid, UUID):
        return uuid.bytes
    try:
        return UUID(uuid).bytes
    except (ValueError, TypeError, AttributeError):
        return None


def whole(number: Any, what: str = "A version") -> int:
    """Raises InvalidValue for what is no whole number, and for one that no store could have given."""
    if type(number) is not int:
        raise exc.InvalidValue(f"{what} is a whole number, not {type(number).__name__}.")
    if not -_MOST <= number <= _MOST:
        raise exc.InvalidValue(f"{what} is a whole number of at most 62 bits.")
    return number


def split(where: Where, acl: Predicate | None) -> tuple[Expression | None, Predicate | None]:
    """What a store can be asked, and what is left to look at in Python."""
    if where is None or isinstance(where, Expression):
        return where, acl
    if isinstance(where, Field) or not callable(where):
        raise TypeError(
            f"where takes a condition such as Todo.done == True, or a function of the record; not {where!r:.80}"
        )
    if acl is None:
        return None, where
    return None, lambda record: where(record) and acl(record)


def checked_moment(moment: Any) -> int | float:
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise exc.InvalidValue("as_of takes a datetime that knows its zone: datetime.now(UTC), not datetime.now().")
        return moment.timestamp()
    if type(moment) is float:
        return moment
    if type(moment) is not int or moment < 0:
        raise exc.InvalidValue(
            f"as_of takes an aware datetime, a float (seconds since 1970) or a transaction's number, not {moment!r:.40}"
        )
    return moment
