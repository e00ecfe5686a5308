"""Models: any class, with the hooks that it has.

    class Todo:
        @classmethod
        def initialize(cls, record): record.merge(done=False, text="")      what a new record starts with
        @classmethod
        def validate(cls, record): ...                                      gives a truthy dict of errors, or nothing
        @classmethod
        def index(cls, record): return {"done": record.done}                what one will want to search by
        @classmethod
        def to_dict(cls, record): ...                                       the record as callers see it

Hooks are classmethods or staticmethods; the class is never instantiated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from limen import exc

if TYPE_CHECKING:
    from .record import Record

HOOKS = ("initialize", "validate", "index", "to_dict")


class Model:
    """A class and its hooks, looked up once. *name*: what the store calls it; `__model__` of the class, or its
    name."""

    __slots__ = ("cls", "index", "initialize", "name", "to_dict", "validate")

    initialize: Callable[[Record], Any] | None
    validate: Callable[[Record], Any] | None
    index: Callable[[Record], Any] | None
    to_dict: Callable[[Record], Any] | None

    def __init__(self, cls: type) -> None:
        if not isinstance(cls, type):
            raise TypeError(f"a model is a class, not {type(cls).__name__}")
        self.cls = cls
        self.name = str(getattr(cls, "__model__", cls.__name__))
        for hook in HOOKS:
            setattr(self, hook, _hook(cls, hook))

    def check(self, record: Record) -> None:
        """Raises RecordValidationError with `fields`, the tree of what `validate` found."""
        errors = self.validate(record) if self.validate is not None else None
        if errors:
            if not isinstance(errors, Mapping):
                raise TypeError(f"{self.name}.validate gives a dict of errors, or nothing; not {type(errors).__name__}")
            fields = errors.to_dict() if hasattr(errors, "to_dict") else dict(errors)
            raise exc.RecordValidationError(
                f"{self.name}: the record was not written, because its fields do not pass their checks.",
                *_sentences("", fields),
                model=self.name,
                fields=fields,
            )
        if self.index is not None and not isinstance(self.index(record), Mapping):
            raise TypeError(f"{self.name}.index gives a dict")

    def __reduce__(self) -> tuple[Any, ...]:
        return Model, (self.cls,)

    def __repr__(self) -> str:
        return f"Model({self.name})"


def _hook(cls: type, name: str) -> Callable[[Record], Any] | None:
    found = inspect.getattr_static(cls, name, None)
    if found is None:
        return None
    hook = getattr(cls, name)
    if inspect.isfunction(found) and len(inspect.signature(found).parameters) != 1:
        raise TypeError(f"{cls.__name__}.{name} takes (cls, record): make it a @classmethod")
    if not callable(hook):
        raise TypeError(f"{cls.__name__}.{name} is no function")
    return hook  # type: ignore[no-any-return]


def _sentences(path: str, tree: Any) -> list[str]:
    """The leaves of the tree of errors, one sentence each: 'text, bad_type: int'."""
    if isinstance(tree, Mapping):
        below = [(f"{path}, {key}" if path else str(key), value) for key, value in tree.items()]
        return [line for where, value in below for line in _sentences(where, value)]
    return [f"{path}: {tree}" if isinstance(tree, str | int | float) else path]
