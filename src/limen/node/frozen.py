"""What a node's dictionary holds: values that nobody can change behind the backs of those who follow them.

>>> cart = frozen({"items": ["milk", "bread"], "tags": {"new"}}, "cart")
>>> cart["items"], cart["tags"]
(('milk', 'bread'), frozenset({'new'}))
>>> cart["items"] = ()
Traceback (most recent call last):
TypeError: It is frozen: what follows it would not be told. Put a new one, {**old, key: value}, in its place.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, Final, NoReturn
from uuid import UUID

from limen import exc
from limen.base.path import Path

from .proxy import Proxy

_SIMPLE: Final = frozenset((str, int, bool, type(None)))
_AS_THEY_ARE: Final = _SIMPLE | {bytes, date, datetime, time, timedelta, Decimal, UUID, Path, Proxy}
_MOST_DEPTH: Final = 60
"""Less than what is passed may have (`passing`): the messages of mirrors are put round it."""


class FrozenDict(dict[str, Any]):
    """A dictionary that cannot be changed; it compares, iterates and travels as any. `dict(it)` is a copy to change."""

    __slots__ = ()

    def _refused(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(
            "It is frozen: what follows it would not be told. Put a new one, {**old, key: value}, in its place."
        )

    __setitem__ = __delitem__ = __ior__ = _refused
    clear = pop = popitem = setdefault = update = _refused

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


def frozen(value: Any, key: str) -> Any:
    """*value*, to be kept under *key*: lists become tuples, dictionaries `FrozenDict`, sets frozensets. Raises
    `exc.InvalidValue`, which says where and why, for what else could be changed."""
    return value if type(value) in _SIMPLE else _frozen(value, key, ())


def _frozen(value: Any, key: str, way: tuple[object, ...]) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE or kind is FrozenDict:
        return value
    if kind is float:
        if isfinite(value):
            return value
        raise exc.InvalidValue(f"{_place(key, way)} cannot be {value}: JSON has no such number, so it does not travel.")
    if len(way) > _MOST_DEPTH:
        raise exc.InvalidValue(f"{_place(key, way[:3])}… is deeper than {_MOST_DEPTH} levels, or contains itself.")
    if kind is list or kind is tuple:
        return tuple([_frozen(each, key, (*way, at)) for at, each in enumerate(value)])
    if kind is set or kind is frozenset:
        return frozenset([_frozen(each, key, (*way, "…")) for each in value])
    if isinstance(value, dict):
        for name in value:
            if type(name) is not str:
                raise exc.InvalidValue(
                    f"{_place(key, way)} has the key {name!r}: keys are texts, so that all can read it."
                )
        return FrozenDict({name: _frozen(each, key, (*way, name)) for name, each in value.items()})
    raise exc.InvalidValue(_why(value, _place(key, way)))


def _place(key: str, way: tuple[object, ...]) -> str:
    return "".join(f"[{step!r}]" for step in (key, *way))


def _why(value: object, place: str) -> str:
    kind = type(value).__name__
    if getattr(type(value), "_limen_node_", False):
        return f"{place} cannot be a node, which changes by itself: put its node_path there, or add it by node_add."
    return (
        f"{place} cannot be {'an' if kind[:1] in 'AEIOUaeiou' else 'a'} {kind}: it may be changed without anybody who "
        "follows being told, and does not travel. Put texts, numbers, times, lists, dictionaries or sets of them there."
    )
