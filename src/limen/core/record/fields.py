"""Fields on the class of a model: `Todo.done` is an expression's field, `Todo(…).done` what it was.

>>> from dataclasses import dataclass
>>> @dataclass(slots=True)
... class Todo:
...     done: bool = False
>>> put(Todo, ["done"], typed=True)
>>> Todo.done == True, Todo().done, Todo(done=True)
(Todo.done == True, False, Todo(done=True))
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable
from typing import Any

from .expression import Field

_ABSENT: Any = object()


class OnClass:
    """Gives the field to who asks the class that it was put on. Instances and other classes (a subclass that is no
    model, or is just being made and looks for defaults) get what they would get without it."""

    __slots__ = ("cls", "field", "original")

    def __init__(self, cls: type, name: str, original: Any) -> None:
        self.cls, self.original, self.field = cls, original, Field(name, f"{cls.__name__}.{name}")

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None and owner is self.cls:
            return self.field
        original = self.original
        if original is _ABSENT:
            raise AttributeError(f"{(owner or type(instance)).__name__!r} has no attribute {self.field.name!r}")
        get = getattr(type(original), "__get__", None)
        return original if get is None else get(original, instance, owner)


class OnSlot(OnClass):
    """The same in front of a slot: what is set on instances goes there."""

    __slots__ = ()

    def __set__(self, instance: Any, value: Any) -> None:
        self.original.__set__(instance, value)

    def __delete__(self, instance: Any) -> None:
        self.original.__delete__(instance)


def put(cls: type, names: Iterable[str], typed: bool) -> None:
    """Puts a field on *cls* for each of *names*, but never over a hook, method or property, nor over any other
    attribute that is not the default or the slot of a *typed* class's field. Doing it again changes nothing."""
    for name in names:
        there = inspect.getattr_static(cls, name, _ABSENT)
        if isinstance(there, OnClass) and there.cls is cls:
            continue
        if isinstance(there, OnSlot | types.MemberDescriptorType):
            kind: type[OnClass] = OnSlot
        elif there is _ABSENT or isinstance(there, OnClass) or (typed and not hasattr(type(there), "__get__")):
            kind = OnClass
        else:
            continue
        try:
            setattr(cls, name, kind(cls, name, there))
        except (TypeError, AttributeError):
            return  # a class that takes no new attributes: field("name") does the same
