"""Checks of values by an annotation, that find everything at once.

    >>> check = check_for(dict[str, list[int]])
    >>> check({"a": [1], "b": [1, "2", 3, None]})
    {'b': {'1': 'Expected `int`, got `str`', '3': 'Expected `int`, got `NoneType`'}}

Records hold built-in values (docs/values.md), so a dataclass is checked as the dict, an enum as the value that it is
stored as; instances pass too, where what they are stored as does. Nothing is converted: a date is no text, a set no
list; but an int is as good as a float or a Decimal, as everywhere in Python.
"""

from __future__ import annotations

import collections.abc as abc
import typing
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

import msgspec

from limen import exc
from limen.base.hints import hints

from .kinds import KINDS, stored
from .typed import allowed_values, declared, is_union, unwrapped

Check = Callable[[Any], Any]
"""Gives None where a value fits, otherwise a sentence or a tree of them."""
MISSING = "This field is missing."

_MISMATCH: Any = object()
"""Inside: another type; the sentence is made where the whole annotation is known."""
_SCALARS: dict[Any, frozenset[type]] = {
    **{kind: frozenset({kind}) for kind in (bool, int, str, bytes, UUID, date, time, datetime, timedelta, type(None))},
    float: frozenset({float, int}),
    Decimal: frozenset({Decimal, int}),
}
_CONTAINERS: dict[Any, tuple[type, ...]] = {
    **{kind: (kind,) for kind in (list, tuple, set, frozenset, dict)},
    abc.Mapping: (dict,),
    abc.MutableMapping: (dict,),
    abc.Sequence: (list, tuple),
    abc.MutableSequence: (list,),
    abc.Set: (set, frozenset),
    abc.MutableSet: (set,),
    abc.Collection: (list, tuple, set, frozenset, dict),
    abc.Iterable: (list, tuple, set, frozenset, dict),
}


def check_for(kind: Any) -> Check:
    """The check for an annotation. `Any`, and what can't be told from outside (a TypeVar, a Protocol), takes all."""
    return _said(kind, _check(kind, {}))


def plain(value: Any) -> Any:
    """*value* as it is stored; as it is where it can't be, which `encode_fields` says by its path."""
    if type(value) in KINDS:
        return value
    try:
        return stored(value)
    except exc.InvalidValue:
        return value


def _said(kind: Any, check: Check) -> Check:
    name = _named(kind)

    def said(value: Any) -> Any:
        wrong = check(value)
        return f"Expected `{name}`, got `{type(value).__name__}`" if wrong is _MISMATCH else wrong

    return said


def _named(kind: Any) -> str:
    kind = unwrapped(kind)
    if is_union(kind):
        return " | ".join(map(_named, get_args(kind)))
    if kind is None or kind is type(None):
        return "None"
    if get_origin(kind) is typing.Literal:
        return " | ".join({type(value).__name__: None for value in get_args(kind)})
    return getattr(get_origin(kind) or kind, "__name__", str(kind))


def _check(kind: Any, known: dict[type, Check]) -> Check:
    bounds = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    kind = unwrapped(kind) if not bounds else kind
    if bounds:
        return _bounded(kind.__origin__, bounds, _check(kind.__origin__, known))
    if kind is None or kind in _SCALARS:
        return _scalar(_SCALARS[type(None) if kind is None else kind])
    if is_union(kind):
        return _union([_check(member, known) for member in get_args(kind)])
    if (values := allowed_values(kind)) is not None:
        return _one_of(values)
    origin = get_origin(kind) or kind
    if origin in _CONTAINERS:
        return _container(_CONTAINERS[origin], get_args(kind), known)
    if not isinstance(origin, type) or origin is object:
        return _anything
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        kinds = hints(origin)
        return _container((tuple,), tuple(kinds.get(name, Any) for name in origin._fields), known)
    if origin not in known:
        known[origin] = lambda value: made(value)  # for a class that has itself for a field
        made = known[origin] = _typed(origin, known) or _own(origin)
    return known[origin]


def _anything(value: Any) -> None:
    return None


def _scalar(accepted: frozenset[type]) -> Check:
    def check(value: Any) -> Any:
        if type(value) in accepted or type(plain(value)) in accepted:
            return None
        return _MISMATCH

    return check


def _bounded(kind: Any, bounds: list[msgspec.Meta], inner: Check) -> Check:
    """The bounds are msgspec's to check; of a container not what is in it, which *inner* does."""
    outer = get_origin(unwrapped(kind)) or kind
    bare = outer if outer in _CONTAINERS else kind
    box: Any = msgspec.defstruct("Box", [("value", Annotated[(bare, *bounds)])], array_like=True)
    msgspec.inspect.type_info(box)  # a bound that this type can't have is said now, not at the first record
    convert = msgspec.convert

    def check(value: Any) -> Any:
        wrong = inner(value)
        if wrong is None:
            try:
                convert((plain(value),), box)
            except msgspec.ValidationError as error:
                return str(error).partition(" - at `")[0]
        return wrong

    return check


def _union(members: list[Check]) -> Check:
    def check(value: Any) -> Any:
        nearest = _MISMATCH
        for member in members:
            wrong = member(value)
            if wrong is None:
                return None
            if nearest is _MISMATCH:
                nearest = wrong  # of the first member whose type it has: what is wrong there is more to the point
        return nearest

    return check


def _one_of(values: list[Any]) -> Check:
    allowed: Any = [(type(value), value) for value in values]
    kinds = frozenset(map(type, values))
    sentence = f"Expected one of {', '.join(map(repr, values))}"
    try:
        allowed = frozenset(allowed)
    except TypeError:
        pass  # an enum whose values are lists

    def check(value: Any) -> Any:
        value = plain(value)
        if type(value) not in kinds:
            return _MISMATCH
        return None if (type(value), value) in allowed else sentence

    return check


def _container(accepted: tuple[type, ...], members: tuple[Any, ...], known: dict[type, Check]) -> Check:
    checks = [_said(member, _check(member, known)) for member in members if member is not Ellipsis]

    def items(value: Any) -> dict[str, Any]:
        inner = checks[0]
        if type(value) is dict:
            keys = [(str(key)[:64], inner(key)) for key in value]
            found = [(str(key)[:64], checks[-1](item)) for key, item in value.items()]
            return {key: wrong for key, wrong in (*found, *keys) if wrong is not None}
        named = isinstance(value, set | frozenset)
        return {
            str(item)[:64] if named else str(i): wrong
            for i, item in enumerate(value)
            if (wrong := inner(item)) is not None
        }

    def check(value: Any) -> Any:
        value = plain(value)
        if type(value) not in accepted:
            return _MISMATCH
        return (items(value) or None) if checks else None

    def check_each(value: Any) -> Any:
        value = plain(value)
        if type(value) is not tuple:
            return _MISMATCH
        if len(value) != len(checks):
            return f"Expected {len(checks)} items, got {len(value)}"
        wrongs = {str(i): one(item) for i, (one, item) in enumerate(zip(checks, value, strict=True))}
        return {i: wrong for i, wrong in wrongs.items() if wrong is not None} or None

    return check_each if accepted == (tuple,) and members and Ellipsis not in members else check


def _typed(cls: type, known: dict[type, Check]) -> Check | None:
    fields = declared(cls)
    if fields is None:
        return None
    checks = [(field.wire, field.required, _said(field.kind, _check(field.kind, known))) for field in fields]
    config = getattr(cls, "__struct_config__", None)
    tag_field, tag = (config.tag_field, config.tag) if config is not None else (None, None)

    def check(value: Any) -> Any:
        value = plain(value)
        if type(value) is not dict or (tag_field is not None and value.get(tag_field, tag) != tag):
            return _MISMATCH
        return wrong_fields(checks, value) or None

    return check


def wrong_fields(checks: list[tuple[str, bool, Check]], fields: dict[str, Any]) -> dict[str, Any]:
    """The tree of what is wrong with *fields*, by (name, required, check)."""
    errors = {}
    for name, required, check in checks:
        if name in fields:
            wrong = check(fields[name])
            if wrong is not None:
                errors[name] = wrong
        elif required:
            errors[name] = MISSING
    return errors


def _own(cls: type) -> Check:
    """For a class of the program's own: its instances, and the built-in value that they are stored as."""
    if issubclass(cls, Enum):

        def is_flag(value: Any) -> Any:
            try:
                cls(plain(value))
            except ValueError:
                return _MISMATCH
            return None

        return is_flag
    as_dict = issubclass(cls, dict) or hasattr(cls, "to_dict")

    def check(value: Any) -> Any:
        try:
            return None if isinstance(value, cls) or (as_dict and type(value) is dict) else _MISMATCH
        except TypeError:  # a Protocol that does not say @runtime_checkable
            return None

    return check
