"""An attribute that is made when it is first asked for, so that nothing is loaded for it before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class later(Generic[T]):  # noqa: N801 a decorator, as property is
    """Like `functools.cached_property`, but that of several threads which ask first all get the same one.

    >>> class House:
    ...     @later
    ...     def rooms(self) -> list[str]:
    ...         return ["hall"]
    >>> house = House()
    >>> house.rooms.append("kitchen")
    >>> house.rooms
    ['hall', 'kitchen']
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, thing: None, owner: type) -> Self: ...
    @overload
    def __get__(self, thing: object, owner: type) -> T: ...
    def __get__(self, thing: object | None, owner: type) -> T | Self:
        if thing is None:
            return self
        made: T = thing.__dict__.setdefault(self._name, self._make(thing))  # once, whoever else is here
        return made
