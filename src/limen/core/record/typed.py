"""Typed classes (dataclasses, msgspec Structs, attrs classes): what they declare of their fields.

>>> from dataclasses import dataclass
>>> @dataclass
... class Todo:
...     text: str
...     done: bool = False
>>> [(field.name, field.kind, field.required, column_kind(field.kind)) for field in declared(Todo)]
[('text', <class 'str'>, True, 'text'), ('done', <class 'bool'>, False, 'bool')]
"""

from __future__ import annotations

import copy
import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import msgspec

from limen import exc
from limen.base.hints import hints

from .kinds import KINDS, OTHER, stored

COLUMN_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "decimal",
    str: "text",
    bytes: "bytes",
    UUID: "uuid",
    date: "date",
    time: "time",
    datetime: "datetime",
    timedelta: "timedelta",
}
"""The types whose values can stand in a column, and how such a column is called."""
_UNWRAPPED: tuple[Any, ...] = tuple(
    getattr(typing, name) for name in ("Final", "Required", "NotRequired", "ReadOnly") if hasattr(typing, name)
)


class BadDeclaration(TypeError):
    """A class says something of its fields that no record can have."""


class Declared(NamedTuple):
    """A field of a typed class. *wire*: its name where an instance travels as a dict. *kind*: the annotation.
    *default*: makes the built-in value of a new record; None where there is no default."""

    name: str
    wire: str
    kind: Any
    required: bool
    default: Callable[[], Any] | None


def declared(cls: Any) -> tuple[Declared, ...] | None:
    """The fields of a dataclass, Struct, attrs class or TypedDict; None for other classes.

    Raises BadDeclaration for a default that no record can have.
    """
    if not isinstance(cls, type):
        return None
    if issubclass(cls, msgspec.Struct):
        found = _of_struct(cls)
    elif dataclasses.is_dataclass(cls):
        found = _of_dataclass(cls)
    elif hasattr(cls, "__attrs_attrs__"):
        found = _of_attrs(cls)
    elif typing.is_typeddict(cls):
        return tuple(Declared(name, name, kind, _needed(cls, name, kind), None) for name, kind in hints(cls).items())
    else:
        return None
    kinds = hints(cls)
    return tuple(
        Declared(name, wire, kinds.get(name, Any), make is None, _plainly(cls, name, make) if make else None)
        for name, wire, make in found
    )


_Found = Iterator[tuple[str, str, Callable[[], Any] | None]]


def _of_struct(cls: type[msgspec.Struct]) -> _Found:
    for field in msgspec.structs.fields(cls):
        yield field.name, field.encode_name, _maker(field.default, field.default_factory, msgspec.NODEFAULT)


def _of_dataclass(cls: Any) -> _Found:
    for field in dataclasses.fields(cls):
        yield field.name, field.name, _maker(field.default, field.default_factory, dataclasses.MISSING)


def _of_attrs(cls: Any) -> _Found:
    attr: Any = sys.modules["attr"]  # it made the class
    for field in cls.__attrs_attrs__:
        if not isinstance(field.default, attr.Factory):
            yield field.name, field.name, _maker(field.default, attr.NOTHING, attr.NOTHING)
        elif field.default.takes_self:
            raise TypeError(
                f"{cls.__name__}.{field.name}: a default that takes the object can not be had: records are none"
            )
        else:
            yield field.name, field.name, field.default.factory


def _needed(cls: Any, name: str, kind: Any) -> bool:
    """Of a TypedDict, which itself can't tell where annotations are texts."""
    origin = get_origin(kind)
    return origin is typing.Required or (origin is not typing.NotRequired and name in cls.__required_keys__)


def _maker(default: Any, factory: Any, nothing: Any) -> Callable[[], Any] | None:
    if default is not nothing:
        return lambda: default
    return factory if factory is not nothing else None


def _plainly(cls: type, name: str, make: Callable[[], Any]) -> Callable[[], Any]:
    """*make*, whose results are built-in values, and no two records share a list."""

    def made() -> Any:
        value = make()
        if type(value) in KINDS and KINDS[type(value)] != OTHER:
            return value
        try:
            return copy.deepcopy(stored(value))
        except exc.InvalidValue as error:
            raise BadDeclaration(f"{cls.__name__}.{name}: its default can't be stored: {error}") from None

    return made


# -- annotations ----------------------------------------------------------------------------------
def unwrapped(kind: Any) -> Any:
    """*kind* without `Annotated`, `Final`, `NewType` and names given by `type X = …` round it."""
    while True:
        if get_origin(kind) is Annotated:
            kind = kind.__origin__
        elif get_origin(kind) in _UNWRAPPED and get_args(kind):
            kind = get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":
            kind = kind.__value__
        else:
            return kind


def is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def allowed_values(kind: Any) -> list[Any] | None:
    """The built-in values of an enum or a Literal; None for other annotations, and for flags (any sum is one).

    Raises BadDeclaration where they can't be stored.
    """
    members: Any
    if isinstance(kind, type) and issubclass(kind, Enum) and not issubclass(kind, Flag):
        members = kind
    elif get_origin(kind) is typing.Literal:
        members = get_args(kind)
    else:
        return None
    try:
        return [stored(member) for member in members]
    except exc.InvalidValue as error:
        raise BadDeclaration(f"{kind}: values that can't be stored: {error}") from None


def column_kind(kind: Any) -> str | None:
    """The kind of the column for a field annotated *kind*; None where it can't be one.

    >>> from typing import Literal
    >>> [column_kind(k) for k in (int | None, Literal["a", "b"], list[int], int | str, int | float, Any)]
    ['int', 'text', None, None, 'float', None]
    """
    kinds = {*_column_kinds(kind)} - {"null"}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else None


def _column_kinds(kind: Any) -> Iterator[str | None]:
    kind = unwrapped(kind)
    values = allowed_values(kind)
    if is_union(kind):
        for member in get_args(kind):
            yield from _column_kinds(member)
    elif kind is None or kind is type(None):
        yield "null"
    elif values is not None:
        for value in values:
            yield "null" if value is None else COLUMN_KINDS.get(type(value))
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield "int"  # a flag
    else:
        yield COLUMN_KINDS.get(kind) if isinstance(kind, type) else None
